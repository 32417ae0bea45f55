/**
 * The CA's memory: certificates issued and about to be, single-use tokens, host enrolments, the audit log. One interface
 * for the embedded store (SQLite) and for several CAs on one PostgreSQL; `test/contract/store.ts` holds both to it.
 *
 * A write resolves only when it is durable. Every decision is made inside the database's transaction, never from memory,
 * so any number of processes may decide at once. Queries see everything that was acknowledged before they were called.
 *
 * Why an issuance has two durable steps. The intent is on disk before the CA key signs, so that no certificate can exist
 * that the CA has no record of: a crash leaves at worst an intent without a certificate, which `unfinishedIntents` lists
 * for the CA to explain and close. The result is on disk before the reply leaves, so that a lost reply can be repeated
 * and "issued" in the audit log means issued. Both steps share their transactions with whatever else is waiting, so the
 * second one costs a share of a disk flush, not a flush (`test/bench/store.ts`).
 *
 * What certificates become over time (lineages, reports, grants, revocations) is in `store-lineage.ts`.
 */
import type { AuditEntry, AuditStatement } from '../audit/entry.ts';
import type {
  AbandonedIntent,
  AbandonRefusal,
  ClearHostRequest,
  ClearRefusal,
  ConsumeRequest,
  Decision,
  HostTokenRefusal,
  HostTokenRequest,
  IntentRefusal,
  IssuanceIntent,
  IssuanceResult,
  PruneRequest,
  PruneResult,
  ResultRefusal,
  SingleUseRefusal,
  TokenRefusal,
  TokenRequest,
} from './decisions.ts';
import type {
  AuditFilter,
  AuditHead,
  CertificateFilter,
  CertificateRecord,
  HostFilter,
  HostRecord,
  Page,
  PageRequest,
  StoreCounts,
} from './records.ts';

import type { LineageReader, LineageStore } from './store-lineage.ts';

/** The reading half, which commands beside a running server use. @throws StoreError from every method */
export interface StoreReader extends LineageReader, AsyncDisposable {
  certificate(serial: bigint): Promise<CertificateRecord | null>;
  certificates(filter: CertificateFilter, page: PageRequest): Promise<Page<CertificateRecord>>;
  /**
   * Intents neither finished nor abandoned that were recorded before `before` (epoch seconds), oldest first. A server
   * that is alone on its store asks for all at its start; one of several asks for those too old to be in anyone's hands.
   */
  unfinishedIntents(before: bigint, page: PageRequest): Promise<Page<CertificateRecord>>;
  hosts(filter: HostFilter, page: PageRequest): Promise<Page<HostRecord>>;
  counts(): Promise<StoreCounts>;
  auditHead(): Promise<AuditHead>;
  /** Newest first. */
  audit(filter: AuditFilter, page: PageRequest): Promise<Page<AuditEntry>>;
  /** Oldest first, from `sequence` on, at most `limit`: for `audit --verify`. */
  auditFrom(sequence: bigint, limit: number): Promise<readonly AuditEntry[]>;
  /**
   * Writes a consistent copy to a new file while others go on reading and writing; durable when resolved.
   * @throws StoreError `backup-exists`, `store-full`, ...
   */
  backup(path: string): Promise<void>;
  close(): Promise<void>;
}

/** @throws StoreError from every method; TypeError for a request that breaks a bound named in `decisions.ts` */
export interface Store extends StoreReader, LineageStore {
  recordToken(request: TokenRequest): Promise<Decision<TokenRefusal>>;
  consumeToken(request: ConsumeRequest): Promise<Decision<SingleUseRefusal>>;
  recordHostToken(request: HostTokenRequest): Promise<Decision<HostTokenRefusal>>;
  recordIntent(intent: IssuanceIntent): Promise<Decision<IntentRefusal>>;
  /** Recording the same result again is accepted, with an audit entry that says so. */
  recordResult(result: IssuanceResult): Promise<Decision<ResultRefusal>>;
  abandonIntent(intent: AbandonedIntent): Promise<Decision<AbandonRefusal>>;
  clearHost(request: ClearHostRequest): Promise<Decision<ClearRefusal>>;
  /** For what the caller decided itself, such as a refusal before any of the above. Resolves to the last number. */
  appendAudit(statements: readonly AuditStatement[]): Promise<bigint>;
  prune(request: PruneRequest): Promise<PruneResult>;
  /** How full the queue in front of the writer is: what `Retry-After` and metrics are made from. */
  readonly load: StoreLoad;
}

export interface StoreLoad {
  /** Requests waiting or being written. */
  readonly pending: number;
  /** From here on new work is refused with `store-overloaded`; what finishes accepted work is not. */
  readonly limit: number;
}
