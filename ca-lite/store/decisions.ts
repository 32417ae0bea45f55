/**
 * What a store decides: the requests, and the refusals that come back as values. Every request carries the note for the
 * audit log; the store completes it with the verdict in the same transaction. A refusal writes its audit entry and
 * nothing else: in particular it consumes no token.
 */
import type { CertificateType } from '#openssh/certificate.ts';
import type { AuditNote } from '../audit/entry.ts';
import type { SignIn } from './user-decisions.ts';

/** `audit` is the number of the audit entry that records the verdict. */
export type Decision<Refusal extends string> = Accepted | Refused<Refusal>;
export interface Accepted {
  readonly accepted: true;
  readonly audit: bigint;
}
export interface Refused<Refusal extends string> {
  readonly accepted: false;
  readonly refusal: Refusal;
  readonly audit: bigint;
  /** The enrolment in the way, for refusals of trust on first use. */
  readonly holder: HostHolder | null;
}

export interface HostHolder {
  readonly enrolment: string;
  readonly keyFingerprint: string;
  readonly state: 'pending' | 'enrolled';
  /** Its newest certificate, which may be handed to the same host again after a lost reply. */
  readonly serial: bigint | null;
}

/** A nonce or a token ID that works once. The row can go when `expiresAt` and a leeway have passed (`prune`). */
export interface SingleUse {
  /** 1 to 256 characters. Tokens of several issuers share one space: the caller puts the issuer in front. */
  readonly id: string;
  /** Epoch seconds. */
  readonly expiresAt: bigint;
}

/** A token to consume. */
export interface TokenUse extends SingleUse {
  /** True when this CA recorded the token when making it: one that is not on record is then refused. */
  readonly recorded: boolean;
}

/** Consumed before; not on record; so old that its use need not be remembered any more. */
export type SingleUseRefusal = 'token-used' | 'token-unknown' | 'token-expired';
export type NonceRefusal = 'nonce-used' | 'nonce-expired';

/** An administrator's token, recorded as outstanding. */
export interface TokenRequest {
  readonly token: SingleUse;
  readonly audit: AuditNote;
}
export type TokenRefusal = 'token-exists' | 'token-expired';

/** A token that is spent on something else than an issuance. */
export interface ConsumeRequest {
  readonly token: TokenUse;
  readonly audit: AuditNote;
}

/** A host's first enrolment: what trust on first use binds together. */
export interface HostBinding {
  /** Chosen by the CA, 1 to 64 characters. */
  readonly enrolment: string;
  /** DNS names as the CA checked them, in lower case; the first is the one shown. */
  readonly names: readonly string[];
  /** In canonical text. */
  readonly addresses: readonly string[];
  readonly keyFingerprint: string;
  /**
   * The fingerprint of a key already bound to each of these names that signed for this one, so that a host can enrol
   * its several host keys. Checking that signature is the caller's; the store checks the binding.
   */
  readonly vouchedBy: string | null;
}

/**
 * `host-already-enrolled`: this key is bound to one of these addresses.
 * `name-held-by-another-key`: one of the names is bound to a key that is neither this one nor the one that vouches.
 * Both last until `clearHost`.
 */
export type HostRefusal = 'host-already-enrolled' | 'name-held-by-another-key';

/** Step 4 of an enrolment: spends the challenge's nonce, checks the binding without making it, records the token. */
export interface HostTokenRequest {
  readonly nonce: SingleUse;
  readonly token: SingleUse;
  readonly host: HostBinding;
  readonly audit: AuditNote;
}
export type HostTokenRefusal = NonceRefusal | HostRefusal | TokenRefusal;

/**
 * A certificate about to be signed. What is accepted here is durable before anything is signed, so that no certificate
 * can exist that the CA does not know.
 */
export interface IssuanceIntent {
  /** 1 to 2^64 - 1: a KRL cannot name serial 0. */
  readonly serial: bigint;
  readonly type: CertificateType;
  /** The bytes to sign: the certificate without its signature. At most {@link MAX_SIGNED_BYTES_LENGTH}. */
  readonly signedBytes: Uint8Array;
  readonly keyFingerprint: string;
  readonly keyId: string;
  /** At least one. */
  readonly principals: readonly string[];
  readonly validAfter: bigint;
  /** Exclusive, after `validAfter`, below 2^53: validity always ends. */
  readonly validBefore: bigint;
  /**
   * Of a host certificate without a predecessor: the lineage to begin, unless its key has one under this key ID already, which it then joins.
   * Of a user certificate with `signIn`: the session that it begins. Null for others.
   */
  readonly lineage: string | null;
  readonly predecessor: bigint | null;
  readonly provisioner: string;
  readonly requester: string;
  /** Epoch seconds. */
  readonly now: bigint;
  /** Consumed with the intent; null when none authorised it. */
  readonly token: TokenUse | null;
  /** For a host's first enrolment: bound now, enrolled with the result, let go when abandoned. */
  readonly host: HostBinding | null;
  /** For a user certificate: who signed in. Needs `lineage`. */
  readonly signIn?: SignIn | undefined;
  readonly audit: AuditNote;
}
/** `lineage-quarantined`: that of this key under this key ID; an administrator has to resolve it first. */
export type IntentRefusal = SingleUseRefusal | HostRefusal | 'serial-exists' | 'key-revoked' | 'lineage-quarantined';

export interface IssuanceResult {
  readonly serial: bigint;
  /** The whole certificate, which must begin with the intent's bytes. */
  readonly certificate: Uint8Array;
  readonly now: bigint;
  readonly audit: AuditNote;
}
export type ResultRefusal = 'intent-unknown' | 'intent-closed' | 'certificate-differs';

export interface AbandonedIntent {
  readonly serial: bigint;
  readonly now: bigint;
  /** Given back, when it is known that nothing signed left the CA: it may then be used again, for one certificate. Without it, it stays spent. */
  readonly token?: TokenUse | null;
  readonly audit: AuditNote;
}
export type AbandonRefusal = 'intent-unknown' | 'intent-closed';

export interface ClearHostRequest {
  /** Every enrolment that has this name is cleared, under all its names. */
  readonly name: string;
  readonly now: bigint;
  readonly audit: AuditNote;
}
export type ClearRefusal = 'host-unknown';

export interface PruneRequest {
  readonly now: bigint;
  /** How long after its expiry an identifier might still be accepted by a check that allows for clock skew. */
  readonly leewaySeconds: bigint;
  /** Rows at most, so that a prune never holds up others; 1 to 10,000. */
  readonly limit: number;
}
export interface PruneResult {
  readonly removed: bigint;
  /** More rows could go: call again. */
  readonly more: boolean;
}

export const MAX_SIGNED_BYTES_LENGTH = 256 * 1024;
