/** Queries about lineages, reports, grants and revocations. Each is one statement by index, or a bounded page of rows. */
import { StoreError } from './errors.ts';
import type { GrantKind, GrantRecord } from './grant-decisions.ts';
import type { LineageRecord, LineageState, ReportRecord, SightingRecord } from './lineage-decisions.ts';
import type { CertificateRecord, HostRecord, Page, PageRequest } from './records.ts';
import type { KrlState, RevokedKey, RevokedSerials } from './revocation-decisions.ts';
import type { Connection } from './sqlite-connection.ts';
import { type Listing, readPage } from './sqlite-pages.ts';
import { type CertificateRow, type HostRow, certificateOf, hostOf } from './sqlite-rows.ts';
import { decodeList, decodeSerial, decodeSerials, encodeSerial } from './sqlite-values.ts';
import type { LineageFilter, RenewalSubject } from './store-lineage.ts';

/** Rows of revocations that are read at once. */
export const MAX_REVOCATION_ROWS = 20_000;

export function readRenewalSubject(connection: Connection, serial: bigint): RenewalSubject | null {
  const row = connection.get<CertificateRow & { readonly host_id: bigint | null }>(
    `SELECT * FROM certificates WHERE serial = ? AND type = 'host' AND state = 'issued'`,
    encodeSerial(serial),
  );
  if (row === undefined) return null;
  const certificate = certificateOf(row);
  return {
    certificate,
    host: readHost(connection, certificate, row.host_id),
    basis: readBasis(connection, certificate),
  };
}

/** The enrolment it was made for, or, when that was cleared, the newest one that its key has. */
function readHost(connection: Connection, { keyFingerprint }: CertificateRecord, id: bigint | null): HostRecord | null {
  const own = id === null ? undefined : connection.get<HostRow>('SELECT * FROM hosts WHERE id = ?', id);
  if (own?.state === 'enrolled') return hostOf(own);
  const sql = `SELECT * FROM hosts WHERE key_fingerprint = ? AND state = 'enrolled' ORDER BY id DESC LIMIT 1`;
  const newest = connection.get<HostRow>(sql, keyFingerprint) ?? own;
  return newest === undefined ? null : hostOf(newest);
}

/** The principals of the last token that this lineage lives from. */
function readBasis(connection: Connection, certificate: CertificateRecord): readonly string[] {
  if (certificate.lineage === null) return certificate.principals;
  const row = connection.get<{ principals: string }>(
    'SELECT c.principals FROM lineages l JOIN certificates c ON c.serial = l.basis WHERE l.lineage = ?',
    certificate.lineage,
  );
  return row === undefined ? certificate.principals : decodeList(row.principals);
}

interface LineageListRow {
  readonly id: bigint;
  readonly lineage: string;
  readonly name: string;
  readonly key_fingerprint: string;
  readonly state: LineageState;
  readonly head: Uint8Array;
  readonly seen_at: bigint | null;
  readonly seen_from: string | null;
  readonly created_at: bigint;
  readonly changed_at: bigint;
}

export function readLineage(connection: Connection, lineage: string): LineageRecord | null {
  const row = connection.get<LineageListRow>('SELECT * FROM lineages WHERE lineage = ?', lineage);
  return row === undefined ? null : lineageOf(row);
}

export function readLineages(connection: Connection, filter: LineageFilter, page: PageRequest): Page<LineageRecord> {
  const { state, keyFingerprint } = filter;
  const byKey = keyFingerprint === undefined ? [] : [{ sql: 'key_fingerprint = ?', values: [keyFingerprint] }];
  const byState = state === undefined ? [] : [{ sql: 'state = ?', values: [state] }];
  const listed = state !== undefined && state !== 'active';
  const driver = byKey[0] ?? (listed ? { sql: `state = ? AND state <> 'active'`, values: [state] } : null);
  const listing: Listing = { table: 'lineages', key: 'id', driver, rest: byState, order: 'newest-first' };
  const { rows, next } = readPage<LineageListRow>(connection, listing, page);
  return { items: rows.map(lineageOf), next };
}

function lineageOf(row: LineageListRow): LineageRecord {
  return {
    lineage: row.lineage,
    name: row.name,
    keyFingerprint: row.key_fingerprint,
    state: row.state,
    head: decodeSerial(row.head),
    seenAt: row.seen_at,
    seenFrom: row.seen_from,
    createdAt: row.created_at,
    changedAt: row.changed_at,
  };
}

export function readSightings(connection: Connection, lineage: string): SightingRecord[] {
  const rows = connection.all<{
    serial: Uint8Array;
    requester: string;
    first_seen: bigint;
    last_seen: bigint;
    times: bigint;
  }>(
    `SELECT s.* FROM sightings s JOIN lineages l ON l.id = s.lineage_id WHERE l.lineage = ? ORDER BY first_seen, last_seen`,
    lineage,
  );
  return rows.map((row) => ({
    serial: decodeSerial(row.serial),
    requester: row.requester,
    firstSeen: row.first_seen,
    lastSeen: row.last_seen,
    times: row.times,
  }));
}

interface ReportRow {
  readonly serial: Uint8Array;
  readonly reported_at: bigint;
  readonly requester: string;
  readonly agent_version: string;
  readonly trusted_host_cas: string;
  readonly trusted_user_cas: string;
  readonly krl_number: bigint;
}

export function readReport(connection: Connection, lineage: string): ReportRecord | null {
  const sql = 'SELECT r.* FROM reports r JOIN lineages l ON l.id = r.lineage_id WHERE l.lineage = ?';
  const row = connection.get<ReportRow>(sql, lineage);
  if (row === undefined) return null;
  return {
    serial: decodeSerial(row.serial),
    reportedAt: row.reported_at,
    requester: row.requester,
    agentVersion: row.agent_version,
    trustedHostCas: decodeList(row.trusted_host_cas),
    trustedUserCas: decodeList(row.trusted_user_cas),
    krlNumber: row.krl_number,
  };
}

interface GrantRow {
  readonly id: bigint;
  readonly kind: GrantKind;
  readonly value: string;
  readonly uses: bigint;
  readonly uses_left: bigint;
  readonly expires_at: bigint;
  readonly created_at: bigint;
  readonly created_by: string;
  readonly ended_at: bigint | null;
  readonly ended_by: string | null;
}

/** @param openAt only those that could be used at this time */
export function readGrants(connection: Connection, openAt: bigint | undefined, page: PageRequest): Page<GrantRecord> {
  const open = 'ended_at IS NULL AND uses_left > 0 AND expires_at > ?';
  const rest = openAt === undefined ? [] : [{ sql: open, values: [openAt] }];
  const listing: Listing = { table: 'grants', key: 'id', driver: null, rest, order: 'newest-first' };
  const { rows, next } = readPage<GrantRow>(connection, listing, page);
  return { items: rows.map(grantOf), next };
}

function grantOf(row: GrantRow): GrantRecord {
  return {
    grant: row.id,
    kind: row.kind,
    value: row.value,
    uses: Number(row.uses),
    usesLeft: Number(row.uses_left),
    expiresAt: row.expires_at,
    createdAt: row.created_at,
    createdBy: row.created_by,
    endedAt: row.ended_at,
    endedBy: row.ended_by,
  };
}

export function readKrlState(connection: Connection): KrlState {
  const row = connection.get<{ number: bigint; changed_at: bigint }>('SELECT number, changed_at FROM krl');
  if (row === undefined) throw new StoreError('store-corrupt', 'The number of the KRL is not there.');
  return { number: row.number, changedAt: row.changed_at };
}

/** As one text for each CA: a row that becomes an object costs ten times as much. */
export function readRevokedSerials(connection: Connection, after: bigint): RevokedSerials | null {
  const groups = connection.all<{ ca_id: bigint; last: bigint; serials: string }>(
    `SELECT ca_id, max(id) AS last, group_concat(hex(serial), '') AS serials
     FROM (SELECT id, serial, ca_id FROM revoked_serials WHERE id > ? ORDER BY id LIMIT ?) GROUP BY ca_id`,
    after,
    BigInt(MAX_REVOCATION_ROWS),
  );
  if (groups.length === 0) return null;
  const upTo = groups.reduce((most, { last }) => (last > most ? last : most), 0n);
  return { upTo, byCa: new Map(groups.map(({ ca_id, serials }) => [ca_id, decodeSerials(serials)])) };
}

export function readRevokedKeys(connection: Connection, after: bigint): RevokedKey[] {
  return connection
    .all<{ id: bigint; key_fingerprint: string }>(
      'SELECT id, key_fingerprint FROM revoked_keys WHERE id > ? ORDER BY id LIMIT ?',
      after,
      BigInt(MAX_REVOCATION_ROWS),
    )
    .map(({ id, key_fingerprint: keyFingerprint }) => ({ row: id, keyFingerprint }));
}

export function readKrlCas(connection: Connection): ReadonlyMap<bigint, Uint8Array> {
  const rows = connection.all<{ id: bigint; key: Uint8Array }>('SELECT id, key FROM krl_cas');
  return new Map(rows.map(({ id, key }) => [id, key]));
}
