/**
 * The OIDC provisioners of this CA: which one a token is for, what it is worth, and how they are listed for clients. The token names its
 * issuer; the rules of that issuer alone judge it, so that a token can never choose softer ones.
 */
import type { SshSignRequest } from '#protocol/step-api.ts';
import type { UserRenewalPolicy } from '../config/config.ts';
import type { CertificateGrant } from '../issue/certificate-grant.ts';
import { matchesAny } from '../policy/name-pattern.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import type { TokenUse } from '../store/decisions.ts';
import type { SignIn } from '../store/user-decisions.ts';
import { findUnmetRule } from './claim-check.ts';
import { claimedIssuer, judgeIdToken } from './id-token.ts';
import type { OidcPolicy } from './oidc-policy.ts';
import { type Claims, mapPrincipals } from './principal-mapping.ts';
import { OidcProvider } from './provider.ts';
import { readClaims, signInOf, whoIs } from './sign-in-record.ts';

export interface AuthorizedIdentity {
  readonly provisioner: string;
  readonly grant: CertificateGrant;
  readonly token: TokenUse;
  /** What is kept of it. */
  readonly signIn: SignIn;
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
    const principals = principalsOf(judged.claims, policy);
    if (isRefusal(principals)) return principals;
    const expiresAt = judged.expiresAt + BigInt(policy.clockToleranceSeconds);
    const when = new Date(Number(now) * 1000).toISOString().slice(0, 19);
    const grant = grantOf(policy, `${whoIs(judged.claims)} via ${policy.name} at ${when}Z`, principals);
    const token = { id: judged.id, expiresAt, recorded: false };
    return { provisioner: policy.name, grant, token, signIn: signInOf(judged.claims, policy) };
  }

  /** How long and how often the certificates of this provisioner renew by their key; undefined: they do not. */
  renewalOf(provisioner: string): UserRenewalPolicy | undefined {
    return this.#named(provisioner)?.renewal;
  }

  /**
   * What a sign-in that was accepted then is worth by the rules of today.
   * @param byLeave an administrator's grant stands in for how recent it is
   */
  reconsider({ provisioner, claims: kept, keyId, byLeave }: EarlierSignIn, now: bigint): CertificateGrant | Refusal {
    const policy = this.#named(provisioner);
    if (policy === undefined)
      return refuse('sign-in-needed', 'The provisioner of the sign-in is not there any more. Sign in again.');
    const claims = readClaims(kept);
    const { requirements } = policy;
    const rules = byLeave ? { ...requirements, maxAuthAgeSeconds: undefined } : requirements;
    const unmet = findUnmetRule(claims, rules, now);
    if (unmet !== undefined)
      return refuse('sign-in-needed', `The provisioner ${policy.name} does not accept the sign-in any more: ${unmet}.`);
    const principals = principalsOf(claims, policy);
    return isRefusal(principals) ? principals : grantOf(policy, keyId, principals);
  }

  #named(provisioner: string): OidcPolicy | undefined {
    return [...this.#byIssuer.values()].find(({ policy }) => policy.name === provisioner)?.policy;
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
        ...(policy.renewal === undefined ? {} : { renewal: policy.renewal }),
      },
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { provider } of this.#byIssuer.values()) await provider[Symbol.asyncDispose]();
  }
}

/** A sign-in of the past, as it was kept. */
export interface EarlierSignIn {
  readonly provisioner: string;
  readonly claims: string;
  readonly keyId: string;
  readonly byLeave: boolean;
}

function principalsOf(claims: Claims, policy: OidcPolicy): readonly string[] | Refusal {
  const mapped = mapPrincipals(policy.principals, claims);
  if ('fault' in mapped)
    return refuse('identity-not-accepted', `The provisioner ${policy.name} gives no principals: ${mapped.fault}.`);
  const { allowedPrincipals } = policy;
  if (allowedPrincipals.length === 0 || mapped.principals.every((name) => matchesAny(allowedPrincipals, name)))
    return mapped.principals;
  return refuse(
    'principal-not-allowed',
    `A principal is not among allowed_principals of the provisioner ${policy.name}.`,
  );
}

/** @param keyId who, through which provisioner, and when: it is what sshd logs */
function grantOf(policy: OidcPolicy, keyId: string, principals: readonly string[]): CertificateGrant {
  return {
    type: 'user',
    keyId,
    principals,
    validAfter: '',
    validBefore: policy.lifetimeSeconds === undefined ? '' : `${policy.lifetimeSeconds}s`,
    key: undefined, // bound by `identityProof`, where it is asked for
    criticalOptions: policy.criticalOptions,
    extensions: policy.extensions,
    requestedPrincipals: 'ignored',
  };
}
