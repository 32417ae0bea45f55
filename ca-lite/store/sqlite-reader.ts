/** The queries of the SQLite store, on a connection that cannot write. Each is one statement, or a bounded page of rows. */
import type { AuditEntry } from '../audit/entry.ts';
import { checkSerial } from './prepared.ts';
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
import { MAX_PAGE_LENGTH } from './records.ts';
import { StoreError } from './errors.ts';
import type { Connection } from './sqlite-connection.ts';
import { auditListing, certificateListing, hostListing } from './sqlite-filters.ts';
import type { CertificateType } from '#openssh/certificate.ts';
import { certificatesBy, hostsWithout, readCaKeys } from './sqlite-ca-keys.ts';
import { openReader } from './sqlite-open.ts';
import { readPage } from './sqlite-pages.ts';
import {
  type AuditRow,
  type CertificateRow,
  type HostRow,
  auditEntryOf,
  certificateOf,
  hostOf,
} from './sqlite-rows.ts';
import { encodeSerial } from './sqlite-values.ts';
import {
  readGrants,
  readKrlCas,
  readKrlState,
  readLineage,
  readLineages,
  readRenewalSubject,
  readReport,
  readRevokedKeys,
  readRevokedSerials,
  readSightings,
} from './sqlite-lineage-reader.ts';
import { readUserRenewalSubject } from './sqlite-user-renewals.ts';
import type { LineageFilter } from './store-lineage.ts';
import type { StoreReader } from './store.ts';

export class SqliteReader implements StoreReader {
  readonly #path: string;
  readonly #backUp: (source: string, target: string) => Promise<void>;
  readonly #connection: Connection;
  #closed = false;

  /** @throws StoreError */
  constructor(path: string, backUp: (source: string, target: string) => Promise<void>) {
    this.#path = path;
    this.#backUp = backUp;
    this.#connection = openReader(path);
  }

  async certificate(serial: bigint): Promise<CertificateRecord | null> {
    checkSerial(serial);
    const sql = 'SELECT * FROM certificates WHERE serial = ?';
    const row = this.#open().get<CertificateRow>(sql, encodeSerial(serial));
    return row === undefined ? null : certificateOf(row);
  }

  async certificates(filter: CertificateFilter, page: PageRequest): Promise<Page<CertificateRecord>> {
    const { rows, next } = readPage<CertificateRow>(this.#open(), certificateListing(filter), page);
    return { items: rows.map(certificateOf), next };
  }

  async unfinishedIntents(before: bigint, page: PageRequest): Promise<Page<CertificateRecord>> {
    const listing = certificateListing({ state: 'intended' });
    const rest = [{ sql: 'intended_at < ?', values: [before] }];
    const oldest = { ...listing, rest, order: 'oldest-first' } as const;
    const { rows, next } = readPage<CertificateRow>(this.#open(), oldest, page);
    return { items: rows.map(certificateOf), next };
  }

  async hosts(filter: HostFilter, page: PageRequest): Promise<Page<HostRecord>> {
    const { rows, next } = readPage<HostRow>(this.#open(), hostListing(filter), page);
    return { items: rows.map(hostOf), next };
  }

  async audit(filter: AuditFilter, page: PageRequest): Promise<Page<AuditEntry>> {
    const { rows, next } = readPage<AuditRow>(this.#open(), auditListing(filter), page);
    return { items: rows.map(auditEntryOf), next };
  }

  async auditFrom(sequence: bigint, limit: number): Promise<readonly AuditEntry[]> {
    if (limit < 1 || limit > MAX_PAGE_LENGTH) throw new TypeError(`limit is 1 to ${MAX_PAGE_LENGTH}`);
    const sql = 'SELECT * FROM audit WHERE sequence >= ? ORDER BY sequence LIMIT ?';
    return this.#open().all<AuditRow>(sql, sequence, BigInt(limit)).map(auditEntryOf);
  }

  async auditHead(): Promise<AuditHead> {
    const row = this.#open().get<{ count: bigint; hash: Uint8Array; last_stored: bigint }>(
      `SELECT audit_count AS count, audit_hash AS hash,
              coalesce((SELECT max(sequence) FROM audit), 0) AS last_stored FROM ledger`,
    );
    if (row === undefined) throw new StoreError('store-corrupt', 'The ledger of the store has no row.');
    return { count: row.count, hash: row.hash, lastStored: row.last_stored };
  }

  async counts(): Promise<StoreCounts> {
    const rows = this.#open().all<{ name: string; value: bigint }>('SELECT name, value FROM counters');
    const values = new Map(rows.map(({ name, value }) => [name, value]));
    const value = (name: string) => values.get(name) ?? 0n;
    const certificates = (type: string) => ({
      intended: value(`certificates.${type}.intended`),
      issued: value(`certificates.${type}.issued`),
      abandoned: value(`certificates.${type}.abandoned`),
    });
    return {
      certificates: { user: certificates('user'), host: certificates('host') },
      hosts: { pending: value('hosts.pending'), enrolled: value('hosts.enrolled'), cleared: value('hosts.cleared') },
      singleUse: value('single-use'),
      auditEntries: (await this.auditHead()).count,
    };
  }

  async renewalSubject(serial: bigint) {
    checkSerial(serial);
    return readRenewalSubject(this.#open(), serial);
  }

  async userRenewalSubject(serial: bigint) {
    checkSerial(serial);
    return readUserRenewalSubject(this.#open(), serial);
  }

  async lineage(lineage: string) {
    return readLineage(this.#open(), lineage);
  }

  async lineages(filter: LineageFilter, page: PageRequest) {
    return readLineages(this.#open(), filter, page);
  }

  async sightings(lineage: string) {
    return readSightings(this.#open(), lineage);
  }

  async report(lineage: string) {
    return readReport(this.#open(), lineage);
  }

  async grants(openAt: bigint | undefined, page: PageRequest) {
    return readGrants(this.#open(), openAt, page);
  }

  async krlState() {
    return readKrlState(this.#open());
  }

  async revokedSerials(after: bigint) {
    return readRevokedSerials(this.#open(), after);
  }

  async revokedKeys(after: bigint) {
    return readRevokedKeys(this.#open(), after);
  }

  async caKeys() {
    return readCaKeys(this.#open());
  }

  async hostsWithout(type: CertificateType, fingerprint: string, now: bigint, limit: number) {
    return hostsWithout(this.#open(), type, fingerprint, now, limit);
  }

  async certificatesBy(type: CertificateType, caKey: Uint8Array, now: bigint) {
    return certificatesBy(this.#open(), type, caKey, now);
  }

  async krlCas() {
    return readKrlCas(this.#open());
  }

  async backup(path: string): Promise<void> {
    this.#open();
    await this.#backUp(this.#path, path);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): Connection {
    if (this.#closed) throw new StoreError('store-closed', 'The store is closed.');
    return this.#connection;
  }
}
