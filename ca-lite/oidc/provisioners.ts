/**
 * The OIDC provisioners of this CA: which one a token is for, what it is worth, and how they are listed for clients. The token names its
 * issuer; the rules of that issuer alone judge it, so that a token can never choose softer ones.
 */
import type { SshSignRequest } from '#protocol/step-api.ts';
import type { CertificateGrant } from '../issue/certificate-grant.ts';
import { matchesAny } from '../policy/name-pattern.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import type { TokenUse } from '../store/decisions.ts';
import { claimedIssuer, judgeIdToken } from './id-token.ts';
import type { OidcPolicy } from './oidc-policy.ts';
import { mapPrincipals } from './principal-mapping.ts';
import { OidcProvider } from './provider.ts';

export interface AuthorizedIdentity {
  readonly provisioner: string;
  readonly grant: CertificateGrant;
  readonly token: TokenUse;
}

interface Provisioner {
  readonly policy: OidcPolicy;
  readonly provider: OidcProvider;
}

export class OidcProvisioners implements AsyncDisposable {
  readonly #byIssuer: ReadonlyMap<string, Provisioner>;

  constructor(policies: readonly OidcPolicy[]) {
    this.#byIssuer = new Map(
      policies.map((policy) => [policy.issuer, { policy, provider: new OidcProvider(policy.issuer, policy.trust) }]),
    );
  }

  /** Undefined for a token that names none of our identity providers. */
  provisionerOf(token: string): string | undefined {
    if (this.#byIssuer.size === 0) return undefined; // spares reading the token twice
    return this.#byIssuer.get(claimedIssuer(token) ?? '')?.policy.name;
  }

  /** What an ID token is worth for this key. @param publicKeyBlob decoded from the request, not yet checked */
  async authorize(
    request: SshSignRequest,
    publicKeyBlob: Uint8Array,
    now: bigint,
  ): Promise<AuthorizedIdentity | Refusal> {
    const found = this.#byIssuer.get(claimedIssuer(request.ott) ?? '');
    if (found === undefined) return refuse('token-invalid', 'The token is of an issuer that this CA does not know.');
    const { policy, provider } = found;
    const judged = await judgeIdToken(
      { token: request.ott, publicKeyBlob, proof: request.identityProof, now },
      policy,
      provider.getKey,
    );
    if (isRefusal(judged)) return judged;
    const mapped = mapPrincipals(policy.principals, judged.claims);
    if ('fault' in mapped)
      return refuse('identity-not-accepted', `The provisioner ${policy.name} gives no principals: ${mapped.fault}.`);
    if (
      policy.allowedPrincipals.length > 0 &&
      !mapped.principals.every((name) => matchesAny(policy.allowedPrincipals, name))
    ) {
      return refuse(
        'principal-not-allowed',
        `A principal is not among allowed_principals of the provisioner ${policy.name}.`,
      );
    }
    const expiresAt = judged.expiresAt + BigInt(policy.clockToleranceSeconds);
    const grant = grantOf(policy, judged.claims, mapped.principals, now);
    return { provisioner: policy.name, grant, token: { id: judged.id, expiresAt, recorded: false } };
  }

  /** As step-ca lists OIDC provisioners, with our member for our own clients (protocol/identity-binding.ts). */
  describe(): ({ type: string; name: string } & Record<string, unknown>)[] {
    return [...this.#byIssuer.values()].map(({ policy }) => ({
      type: 'OIDC',
      name: policy.name,
      clientID: policy.clientId,
      clientSecret: policy.clientSecret ?? '',
      configurationEndpoint: `${policy.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
      scopes: policy.scopes,
      claims: { enableSSHCA: true },
      countersign: {
        issuer: policy.issuer,
        ...policy.client,
        ...(policy.trust === undefined ? {} : { providerCertificates: policy.trust }),
      },
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { provider } of this.#byIssuer.values()) await provider[Symbol.asyncDispose]();
  }
}

/** The key ID says who, through which provisioner, and when: it is what sshd logs. */
function grantOf(
  policy: OidcPolicy,
  claims: Readonly<Record<string, unknown>>,
  principals: readonly string[],
  now: bigint,
): CertificateGrant {
  const who = typeof claims['email'] === 'string' ? claims['email'] : `sub ${String(claims['sub'])}`;
  const when = new Date(Number(now) * 1000).toISOString().slice(0, 19);
  return {
    type: 'user',
    keyId: `${printable(who)} via ${policy.name} at ${when}Z`,
    principals,
    validAfter: '',
    validBefore: policy.lifetimeSeconds === undefined ? '' : `${policy.lifetimeSeconds}s`,
    key: undefined, // bound by `identityProof`, where it is asked for
    criticalOptions: policy.criticalOptions,
    extensions: policy.extensions,
    requestedPrincipals: 'ignored',
  };
}

/** A key ID ends up in the logs of many machines. */
function printable(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '_').slice(0, 256);
}
