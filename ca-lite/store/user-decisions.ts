/**
 * What a store decides about the certificates of users over time (docs/oidc.md). All certificates that renewals made from those of one sign-in
 * are a *session*, named by its first serial as lineages are. There is no head: people have several machines, and a session ends by itself.
 */
import type { AuditNote } from '../audit/entry.ts';
import type { SingleUseRefusal, TokenUse } from './decisions.ts';
import type { RefusedPresentation, RenewalIntent } from './lineage-decisions.ts';
import type { CertificateRecord } from './records.ts';

/** What is kept of a sign-in, so that a renewal can be decided by the rules of its day. */
export interface SignIn {
  /** Who signed in, the same at each sign-in: what `grant --user` and `revoke --user` take. */
  readonly identity: string;
  /** JSON of the claims that rules look at, {@link MAX_CLAIMS_LENGTH} at most; null for one that an administrator's token admitted. */
  readonly claims: string | null;
}

export interface SignInRecord extends SignIn {
  readonly session: string;
  readonly provisioner: string;
  /** Epoch seconds. */
  readonly signedInAt: bigint;
  /** What the sign-in gave. */
  readonly principals: readonly string[];
}

/** A user certificate that somebody wants to renew. */
export interface UserRenewalSubject {
  /** Issued, and of a user. */
  readonly certificate: CertificateRecord;
  /** Null for one from before sign-ins were kept: it cannot be renewed. */
  readonly signIn: SignInRecord | null;
}

export interface UserRenewalRequest {
  readonly token: TokenUse;
  readonly serial: bigint;
  /** Epoch seconds. */
  readonly now: bigint;
  readonly intent: RenewalIntent | null;
  readonly policyRefusal: string | null;
  /** The end of the bytes to be signed that a successor shares with this one when it says the same: options, and the CA key. */
  readonly sameEnd: Uint8Array;
  /** Only a grant can make it good. */
  readonly needsGrant: boolean;
  /** Renewals of one session that need no grant. */
  readonly maxRenewals: number;
  readonly audit: AuditNote;
}

/** `renewal-expired`: a grant is needed, and there is none. `renewal-revoked`: the certificate, its key or its session is revoked. */
export type UserRenewalRefusal =
  SingleUseRefusal | 'certificate-unknown' | 'renewal-revoked' | 'renewal-expired' | 'serial-exists' | 'policy';

/** As for hosts (`lineage-decisions.ts`). `renewals`: of the session, with this one. */
export type UserRenewalDecision =
  | {
      readonly accepted: true;
      readonly outcome: 'intended' | 'issued';
      /** Of the certificate to sign, or to hand over again. */
      readonly serial: bigint;
      readonly renewals: number;
      /** A grant allowed it. */
      readonly granted: boolean;
      readonly audit: bigint;
    }
  | { readonly accepted: true; readonly outcome: 'underway'; readonly serial: bigint }
  | RefusedPresentation<UserRenewalRefusal>;

export const MAX_CLAIMS_LENGTH = 16 * 1024;
export const MAX_IDENTITY_LENGTH = 1024;
export const MAX_SESSION_RENEWALS = 100_000;
