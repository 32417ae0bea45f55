/** What goes into a one-time token: for a proven host, or for what an administrator allows. */
import type { CertificateType } from '#openssh/certificate.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import type { OneTimeTokenClaims } from '#protocol/one-time-token.ts';
import type { ProvenHost } from '../enrol/challenge.ts';
import { ownAudience } from './audience.ts';

/** The issuer of enrolment tokens, and of those that `countersign-ca token` makes. Provisioner names, as /provisioners lists them. */
export const ENROLMENT_PROVISIONER = 'host-enrolment';
export const ADMIN_PROVISIONER = 'admin';
/** One key signs for both; a token counts for the provisioner it names. */
export type TokenProvisioner = typeof ENROLMENT_PROVISIONER | typeof ADMIN_PROVISIONER;

export interface TokenGrant {
  readonly provisioner: TokenProvisioner;
  readonly type: CertificateType;
  readonly keyId: string;
  readonly principals: readonly string[];
  /** RFC 3339 or a duration; "" for the default of the CA. */
  readonly validBefore: string;
  readonly key?: Fingerprint;
  readonly enrolment?: { readonly id: string; readonly host: ProvenHost; readonly vouchedBy: Fingerprint | undefined };
}

export interface TokenContext {
  /** `host:port` of this CA as its clients reach it. */
  readonly authority: string;
  readonly rootFingerprint: string;
  readonly now: bigint;
  readonly lifetimeSeconds: number;
  /** Random, 128 bits or more, as text. */
  readonly tokenId: string;
}

export function makeClaims(grant: TokenGrant, context: TokenContext): OneTimeTokenClaims {
  const now = Number(context.now);
  const { enrolment, key } = grant;
  return {
    iss: grant.provisioner,
    sub: grant.keyId,
    aud: ownAudience(context.authority, 'ssh/sign'),
    iat: now,
    nbf: now,
    exp: now + context.lifetimeSeconds,
    jti: context.tokenId,
    sha: context.rootFingerprint,
    step: {
      ssh: {
        certType: grant.type,
        keyID: grant.keyId,
        principals: [...grant.principals],
        validAfter: '',
        validBefore: grant.validBefore,
      },
    },
    ...(key === undefined ? {} : { cnf: { kid: key } }),
    ...(enrolment === undefined ? {} : { enrolment: claimsOfEnrolment(enrolment) }),
  };
}

function claimsOfEnrolment({
  id,
  host,
  vouchedBy,
}: NonNullable<TokenGrant['enrolment']>): NonNullable<OneTimeTokenClaims['enrolment']> {
  const { names, addresses, port } = host;
  const claims = { id, names: [...names], addresses: [...addresses], port };
  return vouchedBy === undefined ? claims : { ...claims, vouchedBy };
}
