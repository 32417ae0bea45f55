/**
 * What a store decides about lineages: renewals, reports and the end of a quarantine (docs/lineage.md). Everything that a decision
 * depends on is read in its own transaction, so that duplicate requests, several processes and a crash at any moment agree.
 *
 * Unlike elsewhere a refusal may leave something behind: who showed which certificate was seen, whatever it is then told.
 */
import type { AuditNote } from '../audit/entry.ts';
import type { IssuanceIntent, SingleUseRefusal, TokenUse } from './decisions.ts';

/** A certificate shown by somebody who proved to hold its key. Its bytes were compared with the record by the caller. */
export interface Presented {
  readonly serial: bigint;
  /** When the proof was signed, by the clock of the one who signed. Epoch seconds. */
  readonly signedAt: bigint;
  readonly requester: string;
  /** Epoch seconds, by the CA's clock. */
  readonly now: bigint;
  /**
   * How long after the successor was first seen in use its predecessor may still show up without being taken for a copy: another
   * process of the same host that had it in hand, or a request that was under way. 0 or more.
   */
  readonly graceSeconds: bigint;
}

export type RenewalIntent = Omit<
  IssuanceIntent,
  'lineage' | 'predecessor' | 'token' | 'host' | 'signIn' | 'now' | 'audit'
>;

export interface RenewalRequest {
  readonly token: TokenUse;
  readonly presented: Presented;
  /** Null when policy refuses a new certificate, with `policyRefusal` saying why; the certificate counts as seen all the same. */
  readonly intent: RenewalIntent | null;
  readonly policyRefusal: string | null;
  /** The certificate has expired and only a grant can make it good. */
  readonly needsGrant: boolean;
  readonly audit: AuditNote;
}

/**
 * `certificate-unknown`: not issued by this CA. `renewal-revoked`: the certificate, its key or its lineage is revoked.
 * `not-lineage-head`: a newer one is in use. `lineage-quarantined`: seen twice, or just now for the second time.
 */
export type PresentedRefusal = 'certificate-unknown' | 'renewal-revoked' | 'not-lineage-head' | 'lineage-quarantined';
export type RenewalRefusal = SingleUseRefusal | PresentedRefusal | 'renewal-expired' | 'serial-exists' | 'policy';

export type RenewalDecision =
  /** The intent was recorded: sign, then `recordResult` or `abandonIntent`. */
  | { readonly accepted: true; readonly outcome: 'intended'; readonly audit: bigint; readonly lineage: string }
  /** A successor is there already, issued and not yet seen in use: hand it over again. */
  | { readonly accepted: true; readonly outcome: 'issued'; readonly serial: bigint; readonly audit: bigint }
  /** Another request's successor is being signed right now: wait for it. The token is unspent. */
  | { readonly accepted: true; readonly outcome: 'underway'; readonly serial: bigint }
  | RefusedPresentation<RenewalRefusal>;

export interface RefusedPresentation<Refusal extends string> {
  readonly accepted: false;
  readonly refusal: Refusal;
  /** Null when the certificate is not known. */
  readonly lineage: string | null;
  readonly audit: bigint;
}

/** What a host says of itself (protocol/status.ts). */
export interface HostReport {
  readonly agentVersion: string;
  readonly trustedHostCas: readonly string[];
  readonly trustedUserCas: readonly string[];
  readonly krlNumber: bigint;
}

export interface ReportRequest {
  readonly token: TokenUse;
  readonly presented: Presented;
  readonly report: HostReport;
  readonly audit: AuditNote;
}
export type ReportRefusal = SingleUseRefusal | PresentedRefusal;
export type ReportDecision =
  | {
      readonly accepted: true;
      readonly lineage: string;
      /** This report was the first sign of the certificate's use. */
      readonly acknowledged: boolean;
      readonly krlNumber: bigint;
    }
  | RefusedPresentation<ReportRefusal>;

/** An administrator ends a quarantine. */
export interface ResolveRequest {
  readonly lineage: string;
  /** The certificate that goes on as head, every other one of the lineage that was seen or is newer being revoked; null revokes all. */
  readonly keep: bigint | null;
  readonly now: bigint;
  readonly audit: AuditNote;
}
/** `serial-not-in-lineage`: not an issued certificate of it that can go on. */
export type ResolveRefusal = 'lineage-unknown' | 'lineage-not-quarantined' | 'serial-not-in-lineage';

export type LineageState = 'active' | 'quarantined' | 'revoked';

export interface LineageRecord {
  readonly lineage: string;
  readonly name: string;
  readonly keyFingerprint: string;
  readonly state: LineageState;
  readonly head: bigint;
  readonly seenAt: bigint | null;
  readonly seenFrom: string | null;
  readonly createdAt: bigint;
  readonly changedAt: bigint;
}

export interface SightingRecord {
  readonly serial: bigint;
  readonly requester: string;
  readonly firstSeen: bigint;
  readonly lastSeen: bigint;
  readonly times: bigint;
}

export interface ReportRecord extends HostReport {
  readonly serial: bigint;
  readonly reportedAt: bigint;
  readonly requester: string;
}

export const MAX_TRUSTED_CAS = 64;
