/**
 * Lineages in the database: beginning and joining one, and what it means that a certificate of one shows up.
 *
 * The order of certificates decides, by the rows they were recorded in. The head is the newest one that was seen in use. What is newer
 * than the head waits for its first use, and then becomes the head; what is older is of the past. So there is one head at any time, it
 * only moves forward, and a lost reply leaves nothing behind but a certificate that waits.
 */
import { SSHPOP_CLOCK_TOLERANCE_SECONDS, SSHPOP_PROVISIONER } from '#protocol/renewal.ts';
import { lineageNamed } from '../lineage/lineage-name.ts';
import type { LineageState, Presented, PresentedRefusal } from './lineage-decisions.ts';
import { isKeyRevoked, isSerialRevoked } from './sqlite-revocations.ts';
import type { Transaction } from './sqlite-transaction.ts';
import { decodeSerial, encodeSerial } from './sqlite-values.ts';

/** Sightings of one lineage, at most: whoever has the key can come from any number of addresses. */
const MAX_SIGHTINGS = 64;

export interface LineageRow {
  readonly id: bigint;
  readonly lineage: string;
  readonly key_fingerprint: string;
  readonly state: LineageState;
  readonly head: Uint8Array;
  readonly head_id: bigint;
  readonly seen_at: bigint | null;
  readonly seen_signed_at: bigint | null;
  readonly seen_from: string | null;
}

export interface MemberRow {
  readonly id: bigint;
  readonly serial: Uint8Array;
  readonly state: string;
  readonly key_fingerprint: string;
  readonly key_id: string;
  readonly provisioner: string;
  readonly lineage: string | null;
  readonly host_id: bigint | null;
}

const LINEAGE_COLUMNS = 'id, lineage, key_fingerprint, state, head, head_id, seen_at, seen_signed_at, seen_from';
const MEMBER_COLUMNS = 'id, serial, state, key_fingerprint, key_id, provisioner, lineage, host_id';

export function findLineage({ connection }: Transaction, lineage: string): LineageRow | undefined {
  return connection.get<LineageRow>(`SELECT ${LINEAGE_COLUMNS} FROM lineages WHERE lineage = ?`, lineage);
}

export function findMember({ connection }: Transaction, serial: bigint): MemberRow | undefined {
  const sql = `SELECT ${MEMBER_COLUMNS} FROM certificates WHERE serial = ? AND type = 'host' AND state = 'issued'`;
  return connection.get<MemberRow>(sql, encodeSerial(serial));
}

/** The lineage that a new token's certificate for this key and name joins; a revoked one is over and is not joined. */
export function lineageToJoin(
  { connection }: Transaction,
  keyFingerprint: string,
  name: string,
): LineageRow | undefined {
  return connection.get<LineageRow>(
    `SELECT ${LINEAGE_COLUMNS} FROM lineages
     WHERE key_fingerprint = ? AND name = ? AND state <> 'revoked' ORDER BY id DESC LIMIT 1`,
    keyFingerprint,
    name,
  );
}

export function beginLineage(
  { connection }: Transaction,
  lineage: string,
  first: Pick<MemberRow, 'id' | 'serial' | 'key_fingerprint' | 'key_id'>,
  now: bigint,
): void {
  connection.run(
    `INSERT INTO lineages (lineage, name, key_fingerprint, state, head, head_id, basis, created_at, changed_at)
     VALUES (?, ?, ?, 'active', ?, ?, ?, ?, ?) ON CONFLICT (lineage) DO NOTHING`,
    lineage,
    first.key_id,
    first.key_fingerprint,
    first.serial,
    first.id,
    first.serial,
    now,
    now,
  );
}

/** The first certificate of a lineage will not come: nothing is left of it, unless another one joined meanwhile. */
export function dropEmptyLineage({ connection }: Transaction, lineage: string): void {
  const issued = `SELECT 1 FROM certificates WHERE lineage = ? AND state <> 'abandoned' LIMIT 1`;
  if (connection.get(issued, lineage) === undefined) {
    connection.run('DELETE FROM lineages WHERE lineage = ? AND seen_at IS NULL', lineage);
  }
}

/** The certificate as member of a lineage that may go on, now known to be in use; or why it may not. */
export interface Seen {
  readonly refusal: PresentedRefusal | null;
  readonly lineage: LineageRow | null;
  readonly member: MemberRow | null;
  /** This was the first sign of the head's use. */
  readonly first: boolean;
}

/** What follows from somebody showing a certificate: it may become the head, or put its lineage into quarantine. */
export function see(transaction: Transaction, presented: Presented): Seen {
  const member = findMember(transaction, presented.serial);
  if (member === undefined) return { refusal: 'certificate-unknown', lineage: null, member: null, first: false };
  const lineage = lineageOf(transaction, member, presented.now);
  const refused = (refusal: PresentedRefusal): Seen => ({ refusal, lineage, member, first: false });
  const isRevoked = isSerialRevoked(transaction, member.serial) || isKeyRevoked(transaction, member.key_fingerprint);
  if (isRevoked || lineage.state === 'revoked') return refused('renewal-revoked');
  if (lineage.state === 'quarantined') {
    recordSighting(transaction, lineage.id, member.serial, presented.requester, presented.now);
    return refused('lineage-quarantined');
  }
  if (member.id < lineage.head_id) {
    if (!isCopy(lineage, presented)) return refused('not-lineage-head');
    quarantine(transaction, lineage, member, presented);
    return refused('lineage-quarantined');
  }
  const first = member.id > lineage.head_id || lineage.seen_at === null;
  if (!first) return { refusal: null, lineage, member, first };
  moveHead(transaction, lineage, member, presented);
  return { refusal: null, lineage: { ...lineage, head: member.serial, head_id: member.id }, member, first };
}

/** Two tokens of one host may disagree by this much about the order in which they were signed: its clock was set in between. */
const MAX_CLOCK_SPREAD_SECONDS = 2n * BigInt(SSHPOP_CLOCK_TOLERANCE_SECONDS);

/**
 * A predecessor that shows up. What was signed before the successor was seen in use has been under way for long; and for a while another
 * process of the same host may still have the old certificate in hand. Neither is a copy. A copy comes again, and is found then.
 */
function isCopy({ seen_at, seen_signed_at }: LineageRow, { signedAt, now, graceSeconds }: Presented): boolean {
  return now > (seen_at ?? now) + graceSeconds && signedAt > (seen_signed_at ?? 0n) + MAX_CLOCK_SPREAD_SECONDS;
}

/** Certificates from before lineages were kept begin one when they show up. */
function lineageOf(transaction: Transaction, member: MemberRow, now: bigint): LineageRow {
  const known = member.lineage === null ? undefined : findLineage(transaction, member.lineage);
  if (known !== undefined) return known;
  const lineage = member.lineage ?? lineageNamed(decodeSerial(member.serial));
  beginLineage(transaction, lineage, member, now);
  transaction.connection.run('UPDATE certificates SET lineage = ? WHERE id = ?', lineage, member.id);
  const begun = findLineage(transaction, lineage);
  if (begun === undefined) throw new Error('a lineage was not written');
  return begun;
}

function moveHead(transaction: Transaction, lineage: LineageRow, member: MemberRow, presented: Presented): void {
  const { now, signedAt, requester } = presented;
  transaction.connection.run(
    `UPDATE lineages SET head = ?, head_id = ?, key_fingerprint = ?, seen_at = ?, seen_signed_at = ?, seen_from = ?,
       changed_at = ? WHERE id = ?`,
    member.serial,
    member.id,
    member.key_fingerprint,
    now,
    signedAt,
    requester,
    now,
    lineage.id,
  );
  if (member.provisioner !== SSHPOP_PROVISIONER) {
    transaction.connection.run('UPDATE lineages SET basis = ? WHERE id = ?', member.serial, lineage.id);
  }
  if (member.key_fingerprint !== lineage.key_fingerprint) rebindHost(transaction, member);
}

/** The host goes on with another key: the enrolment now holds that one. */
function rebindHost({ connection }: Transaction, { host_id: host, key_fingerprint: key }: MemberRow): void {
  if (host === null) return;
  connection.run(`UPDATE hosts SET key_fingerprint = ? WHERE id = ? AND state = 'enrolled'`, key, host);
  connection.run('UPDATE OR IGNORE host_addresses SET key_fingerprint = ? WHERE host_id = ?', key, host);
}

/** This lineage alone: nothing else of the fleet is touched. */
function quarantine(transaction: Transaction, lineage: LineageRow, member: MemberRow, presented: Presented): void {
  const { now, requester } = presented;
  const { connection } = transaction;
  connection.run(`UPDATE lineages SET state = 'quarantined', changed_at = ? WHERE id = ?`, now, lineage.id);
  recordSighting(transaction, lineage.id, lineage.head, lineage.seen_from ?? '-', lineage.seen_at ?? now);
  recordSighting(transaction, lineage.id, member.serial, requester, now);
}

function recordSighting(
  { connection }: Transaction,
  lineage: bigint,
  serial: Uint8Array,
  requester: string,
  now: bigint,
): void {
  const seen = connection.run(
    `UPDATE sightings SET last_seen = max(last_seen, ?), times = times + 1
     WHERE lineage_id = ? AND serial = ? AND requester = ?`,
    now,
    lineage,
    serial,
    requester,
  );
  if (seen > 0n) return;
  const count = connection.get<{ count: bigint }>(
    'SELECT count(*) AS count FROM sightings WHERE lineage_id = ?',
    lineage,
  );
  if ((count?.count ?? 0n) >= MAX_SIGHTINGS) return;
  connection.run('INSERT INTO sightings VALUES (?, ?, ?, ?, ?, 1)', lineage, serial, requester, now, now);
}
