/**
 * The part of the store that is about certificates over time: lineages, reports, grants, revocations (docs/lineage.md,
 * docs/revocation.md). `store.ts` has the promises that hold for all of it.
 */
import type { CertificateType } from '#openssh/certificate.ts';
import type { CaKeysRecord, RotationDecision, RotationRequest } from './ca-key-decisions.ts';
import type { Decision } from './decisions.ts';
import type { EndGrantRefusal, EndGrantRequest, GrantDecision, GrantRecord, GrantRequest } from './grant-decisions.ts';
import type {
  LineageRecord,
  LineageState,
  RenewalDecision,
  RenewalRequest,
  ReportDecision,
  ReportRecord,
  ReportRequest,
  ResolveRefusal,
  ResolveRequest,
  SightingRecord,
} from './lineage-decisions.ts';
import type { CertificateRecord, HostRecord, Page, PageRequest } from './records.ts';
import type { UserRenewalDecision, UserRenewalRequest, UserRenewalSubject } from './user-decisions.ts';
import type { KrlState, RevokeDecision, RevokeRequest, RevokedKey, RevokedSerials } from './revocation-decisions.ts';

/** A host certificate that somebody wants to renew, with what its principals are decided from. */
export interface RenewalSubject {
  /** Issued, and of a host. */
  readonly certificate: CertificateRecord;
  /** The enrolment behind it; null for one that an administrator's token allowed. `cleared` when there is no other. */
  readonly host: HostRecord | null;
  /** The principals that the last token of its lineage stood for. */
  readonly basis: readonly string[];
}

export interface LineageFilter {
  readonly state?: LineageState | undefined;
  /** Of the head. */
  readonly keyFingerprint?: string | undefined;
}

export interface LineageReader {
  renewalSubject(serial: bigint): Promise<RenewalSubject | null>;
  /** Of a user certificate. */
  userRenewalSubject(serial: bigint): Promise<UserRenewalSubject | null>;
  lineage(lineage: string): Promise<LineageRecord | null>;
  /** Newest first. */
  lineages(filter: LineageFilter, page: PageRequest): Promise<Page<LineageRecord>>;
  /** What was seen of a quarantined lineage, oldest first; at most 64. */
  sightings(lineage: string): Promise<readonly SightingRecord[]>;
  /** The last one. */
  report(lineage: string): Promise<ReportRecord | null>;
  /** Newest first; with `openAt` (epoch seconds) only those that could be used then. */
  grants(openAt: bigint | undefined, page: PageRequest): Promise<Page<GrantRecord>>;
  krlState(): Promise<KrlState>;
  /** In the order of revocation, those after the row `after`, some thousands at most; null when there are no more. */
  revokedSerials(after: bigint): Promise<RevokedSerials | null>;
  /** The same of keys; none when there are no more. */
  revokedKeys(after: bigint): Promise<readonly RevokedKey[]>;
  /** CA keys since the first rotation. */
  caKeys(): Promise<CaKeysRecord>;
  /** Names of live hosts whose last report does not trust this CA key, `limit` at most. */
  hostsWithout(type: CertificateType, fingerprint: string, now: bigint, limit: number): Promise<readonly string[]>;
  /** How many valid certificates in use this CA key signed: of hosts the heads of lineages, of users all. */
  certificatesBy(type: CertificateType, caKey: Uint8Array, now: bigint): Promise<number>;
  /** Public key blobs of the CA keys that revoked certificates are of. */
  krlCas(): Promise<ReadonlyMap<bigint, Uint8Array>>;
}

export interface LineageStore extends LineageReader {
  recordRenewal(request: RenewalRequest): Promise<RenewalDecision>;
  recordUserRenewal(request: UserRenewalRequest): Promise<UserRenewalDecision>;
  recordReport(request: ReportRequest): Promise<ReportDecision>;
  resolveLineage(request: ResolveRequest): Promise<Decision<ResolveRefusal>>;
  makeGrant(request: GrantRequest): Promise<GrantDecision>;
  endGrant(request: EndGrantRequest): Promise<Decision<EndGrantRefusal>>;
  revoke(request: RevokeRequest): Promise<RevokeDecision>;
  rotate(request: RotationRequest): Promise<RotationDecision>;
}
