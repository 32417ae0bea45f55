/** Revocations in the database: what is revoked for good, and the number of the KRL that says so. */
import { decodeCertificate } from '#openssh/certificate.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import type { RevokeDecision, RevokeRefusal, RevokeRequest } from './revocation-decisions.ts';
import type { Prepared } from './prepared.ts';
import { releasePending } from './sqlite-hosts.ts';
import { checkToken, consume } from './sqlite-single-use.ts';
import type { Transaction } from './sqlite-transaction.ts';
import { encodeSerial } from './sqlite-values.ts';

type Request = Prepared<RevokeRequest>;

export function isSerialRevoked({ connection }: Transaction, serial: Uint8Array): boolean {
  return connection.get('SELECT 1 FROM revoked_serials WHERE serial = ?', serial) !== undefined;
}

export function isKeyRevoked({ connection }: Transaction, keyFingerprint: string): boolean {
  return connection.get('SELECT 1 FROM revoked_keys WHERE key_fingerprint = ?', keyFingerprint) !== undefined;
}

/** Who revokes, when and why: the same for all that one decision revokes. */
export interface RevocationMark {
  readonly reason: string;
  readonly now: bigint;
  readonly revokedBy: string;
}

export function revoke(transaction: Transaction, request: Request): RevokeDecision {
  const refused = (refusal: RevokeRefusal): RevokeDecision => ({
    accepted: false,
    refusal,
    audit: transaction.audit(request.audit, 'refused', refusal),
  });
  const spent = request.token === null ? null : checkToken(transaction, request.token);
  if (spent !== null) return refused(spent);
  const targets = targetsOf(transaction, request);
  if (targets === null) return refused('nothing-to-revoke');
  const key = request.target.kind === 'key' ? revokeKey(transaction, request.target.keyFingerprint, request) : 0n;
  const certificates = revokeCertificates(transaction, targets.certificates, request);
  const ended = endLineages(transaction, targets.lineages, request.now);
  if (key + BigInt(certificates) + ended === 0n) return refused('already-revoked');
  if (request.token !== null) consume(transaction, 'token', request.token);
  const krlNumber = nextKrlNumber(transaction, request.now, key + BigInt(certificates) > 0n);
  return { accepted: true, krlNumber, certificates, audit: transaction.audit(request.audit, 'allowed', 'ok') };
}

/** Rows of certificates and names of lineages; what is still being signed among them is called off. */
interface Targets {
  readonly certificates: readonly bigint[];
  readonly lineages: readonly string[];
}

interface FoundRow {
  readonly id: bigint;
  readonly lineage: string | null;
}

/** Null when there is nothing by that name. */
function targetsOf(transaction: Transaction, { target, now }: Request): Targets | null {
  switch (target.kind) {
    case 'serial':
      return targetsOfSerial(transaction, target.serial);
    case 'key':
      return { certificates: [], lineages: lineagesOfKey(transaction, target.keyFingerprint) };
    case 'host':
    case 'user':
      return targetsOfName(transaction, target.kind, target.kind === 'host' ? target.name : target.keyId, now);
  }
}

function targetsOfSerial({ connection }: Transaction, serial: bigint): Targets | null {
  const found = connection.get<FoundRow>(
    `SELECT id, lineage FROM certificates WHERE serial = ? AND state <> 'abandoned'`,
    encodeSerial(serial),
  );
  if (found === undefined) return null;
  const head =
    found.lineage === null
      ? undefined
      : connection.get<{ head_id: bigint }>('SELECT head_id FROM lineages WHERE lineage = ?', found.lineage);
  if (found.lineage === null || (head !== undefined && found.id < head.head_id))
    return { certificates: [found.id], lineages: [] };
  // Of the head, or of what is newer, or of a user's session: its successors went to the holder of the same key.
  const newer = connection.all<FoundRow>(
    `SELECT id, lineage FROM certificates WHERE lineage = ? AND id >= ? AND state <> 'abandoned'`,
    found.lineage,
    found.id,
  );
  return {
    certificates: newer.map(({ id }) => id),
    lineages: (head?.head_id ?? found.id) === found.id ? [found.lineage] : [],
  };
}

function lineagesOfKey({ connection }: Transaction, keyFingerprint: string): string[] {
  return connection
    .all<{ lineage: string }>('SELECT lineage FROM lineages WHERE key_fingerprint = ?', keyFingerprint)
    .map(({ lineage }) => lineage);
}

function targetsOfName({ connection }: Transaction, type: 'host' | 'user', name: string, now: bigint): Targets | null {
  const names =
    type === 'host'
      ? 'EXISTS (SELECT 1 FROM json_each(c.principals) WHERE value = n.name)'
      : '(c.key_id = n.name OR c.identity = n.name)';
  const found = connection.all<FoundRow & { valid_before: bigint }>(
    `SELECT c.id, c.lineage, c.valid_before FROM certificate_names n JOIN certificates c ON c.id = n.certificate_id
     WHERE n.name = ? AND c.type = ? AND c.state <> 'abandoned' AND ${names}`,
    name,
    type,
  );
  if (found.length === 0) return null;
  return {
    certificates: found.filter(({ valid_before }) => valid_before > now).map(({ id }) => id),
    lineages: [...new Set(found.flatMap(({ lineage }) => lineage ?? []))],
  };
}

function revokeKey({ connection }: Transaction, keyFingerprint: string, mark: RevocationMark): bigint {
  return connection.run(
    `INSERT INTO revoked_keys (key_fingerprint, reason, revoked_at, revoked_by) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    keyFingerprint,
    mark.reason,
    mark.now,
    mark.revokedBy,
  );
}

/** How many are newly revoked. What is still being signed is called off: its result will not be taken. */
export function revokeCertificates(transaction: Transaction, rows: readonly bigint[], mark: RevocationMark): number {
  let revoked = 0;
  for (const id of rows) {
    const row = transaction.connection.get<{
      serial: Uint8Array;
      signed_bytes: Uint8Array;
      signature: Uint8Array | null;
    }>('SELECT serial, signed_bytes, signature FROM certificates WHERE id = ?', id);
    if (row === undefined) continue;
    if (row.signature === null) callOff(transaction, id, mark.now);
    else revoked += revokeSerial(transaction, row.serial, Buffer.concat([row.signed_bytes, row.signature]), mark);
  }
  return revoked;
}

function revokeSerial(transaction: Transaction, serial: Uint8Array, blob: Uint8Array, mark: RevocationMark): number {
  const ca = caRow(transaction, encodePublicKey(decodeCertificate(blob).signatureKey));
  return Number(
    transaction.connection.run(
      `INSERT INTO revoked_serials (serial, ca_id, reason, revoked_at, revoked_by) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
      serial,
      ca,
      mark.reason,
      mark.now,
      mark.revokedBy,
    ),
  );
}

function callOff(transaction: Transaction, id: bigint, now: bigint): void {
  const row = transaction.connection.get<{ type: string; host_id: bigint | null }>(
    'SELECT type, host_id FROM certificates WHERE id = ?',
    id,
  );
  if (row !== undefined && row.host_id !== null) releasePending(transaction, row.host_id);
  const sql = `UPDATE certificates SET state = 'abandoned', finished_at = ? WHERE id = ? AND state = 'intended'`;
  const moved = transaction.connection.run(sql, now, id);
  transaction.count(`certificates.${row?.type ?? 'host'}.intended`, -moved);
  transaction.count(`certificates.${row?.type ?? 'host'}.abandoned`, moved);
}

function caRow({ connection }: Transaction, key: Uint8Array): bigint {
  connection.run('INSERT INTO krl_cas (key) VALUES (?) ON CONFLICT DO NOTHING', key);
  const row = connection.get<{ id: bigint }>('SELECT id FROM krl_cas WHERE key = ?', key);
  if (row === undefined) throw new Error('a CA key was not written');
  return row.id;
}

/** Lineages of hosts and sessions of users; how many were not over yet. */
export function endLineages({ connection }: Transaction, lineages: readonly string[], now: bigint): bigint {
  let ended = 0n;
  for (const lineage of lineages) {
    const sql = `UPDATE lineages SET state = 'revoked', changed_at = ? WHERE lineage = ? AND state <> 'revoked'`;
    ended += connection.run(sql, now, lineage);
    ended += connection.run('UPDATE sign_ins SET ended_at = ? WHERE session = ? AND ended_at IS NULL', now, lineage);
  }
  return ended;
}

/** One step for each transaction that put something into the KRL. */
export function nextKrlNumber({ connection }: Transaction, now: bigint, changed: boolean): bigint {
  if (changed) connection.run('UPDATE krl SET number = number + 1, changed_at = max(changed_at, ?)', now);
  return krlNumber(connection);
}

export function krlNumber(connection: Transaction['connection']): bigint {
  return connection.get<{ number: bigint }>('SELECT number FROM krl')?.number ?? 0n;
}
