/**
 * What a store tells about certificates, hosts and its audit log. Times are epoch seconds; serials are uint64;
 * lists come newest first unless said otherwise, in pages whose cursor is opaque.
 */
import type { CertificateType } from '#openssh/certificate.ts';
import type { AuditOutcome } from '../audit/entry.ts';

/** `intended`: recorded before the signature. `abandoned`: closed without a certificate that left the CA. */
export type CertificateState = 'intended' | 'issued' | 'abandoned';

export interface CertificateRecord {
  readonly serial: bigint;
  readonly type: CertificateType;
  readonly state: CertificateState;
  readonly keyFingerprint: string;
  readonly keyId: string;
  readonly principals: readonly string[];
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  /** The lineage of a host certificate, the session of a user's. */
  readonly lineage: string | null;
  /** Who a user certificate is for, the same at each sign-in; null for hosts, and for those from before this was kept. */
  readonly identity: string | null;
  readonly predecessor: bigint | null;
  readonly provisioner: string;
  readonly requester: string;
  readonly intendedAt: bigint;
  /** When the result was recorded or the intent abandoned. */
  readonly finishedAt: bigint | null;
  /** The bytes that were to be signed. */
  readonly signedBytes: Uint8Array;
  /** The whole certificate; null unless `issued`. */
  readonly certificate: Uint8Array | null;
}

export interface CertificateFilter {
  readonly type?: CertificateType | undefined;
  readonly state?: CertificateState | undefined;
  readonly keyFingerprint?: string | undefined;
  readonly keyId?: string | undefined;
  /** Of a user certificate. */
  readonly identity?: string | undefined;
  /** A host name or address of a host certificate, or a principal of a user certificate. */
  readonly principal?: string | undefined;
  readonly lineage?: string | undefined;
  /** Only certificates valid at this time. */
  readonly validAt?: bigint | undefined;
}

/** `pending`: bound while its first certificate is being signed. `cleared`: an administrator let the name go. */
export type HostState = 'pending' | 'enrolled' | 'cleared';

/** One enrolment: one host key under its names and addresses. A host with three keys has three. */
export interface HostRecord {
  readonly enrolment: string;
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly keyFingerprint: string;
  readonly state: HostState;
  readonly vouchedBy: string | null;
  readonly firstSeen: bigint;
  /** When its last certificate was recorded. */
  readonly lastSeen: bigint;
  readonly clearedAt: bigint | null;
  /** Its newest certificate. */
  readonly serial: bigint | null;
}

export interface HostFilter {
  /** Any of its names. */
  readonly name?: string | undefined;
  readonly keyFingerprint?: string | undefined;
  readonly state?: HostState | undefined;
}

export interface AuditFilter {
  readonly action?: string | undefined;
  readonly outcome?: AuditOutcome | undefined;
  readonly name?: string | undefined;
  readonly serial?: bigint | undefined;
}

/** `limit`: 1 to {@link MAX_PAGE_LENGTH}. `cursor`: the `next` of the page before. */
export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/**
 * A page may be short, even empty, and still have a `next`: a store looks at a bounded number of rows per page, so that
 * a filter that fits few rows does not hold up others. Only `next: null` is the end.
 */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

export const MAX_PAGE_LENGTH = 1000;

/** Kept with each write, so that reading them costs the same at any size. */
export interface StoreCounts {
  readonly certificates: Readonly<Record<CertificateType, Readonly<Record<CertificateState, bigint>>>>;
  readonly hosts: Readonly<Record<HostState, bigint>>;
  /** Rows of single-use identifiers that `prune` has not removed yet. */
  readonly singleUse: bigint;
  readonly auditEntries: bigint;
}

/** The head of the audit log, and the highest number that is stored, read in one instant: they differ after tampering. */
export interface AuditHead {
  readonly count: bigint;
  readonly hash: Uint8Array;
  readonly lastStored: bigint;
}
