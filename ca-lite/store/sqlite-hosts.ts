/**
 * Trust on first use: which key holds which names and addresses. A binding is made with the intent of the first
 * certificate (`pending`), stands with its result (`enrolled`), and goes when the intent is abandoned or an
 * administrator clears the name; an abandoned token therefore binds nothing.
 */
import type { HostBinding, HostHolder, HostRefusal } from './decisions.ts';
import type { HostState } from './records.ts';
import type { Transaction } from './sqlite-transaction.ts';
import { decodeList, decodeSerial, encodeList, encodeSerial } from './sqlite-values.ts';

interface HolderRow {
  readonly enrolment: string;
  readonly key_fingerprint: string;
  readonly state: 'pending' | 'enrolled';
  readonly serial: Uint8Array | null;
}

export interface HostConflict {
  readonly refusal: HostRefusal;
  readonly holder: HostHolder;
}

/** What is in the way of binding this host; null when nothing is. Writes nothing. */
export function checkBinding(transaction: Transaction, host: HostBinding): HostConflict | null {
  return checkAddresses(transaction, host) ?? checkNames(transaction, host);
}

function checkAddresses({ connection }: Transaction, host: HostBinding): HostConflict | null {
  for (const address of host.addresses) {
    const row = connection.get<HolderRow>(
      `SELECT enrolment, h.key_fingerprint, state, serial FROM host_addresses a JOIN hosts h ON h.id = a.host_id
       WHERE a.address = ? AND a.key_fingerprint = ?`,
      address,
      host.keyFingerprint,
    );
    if (row !== undefined) return { refusal: 'host-already-enrolled', holder: holderOf(row) };
  }
  return null;
}

function checkNames({ connection }: Transaction, host: HostBinding): HostConflict | null {
  for (const name of host.names) {
    const rows = connection.all<HolderRow>(
      `SELECT enrolment, key_fingerprint, state, serial FROM host_names n JOIN hosts h ON h.id = n.host_id
       WHERE n.name = ? AND state <> 'cleared'`,
      name,
    );
    const holds = (key: string | null) => rows.some((row) => row.key_fingerprint === key);
    const other = rows.find((row) => row.key_fingerprint !== host.keyFingerprint);
    if (other === undefined || holds(host.keyFingerprint) || holds(host.vouchedBy)) continue;
    return { refusal: 'name-held-by-another-key', holder: holderOf(other) };
  }
  return null;
}

/** Binds as pending; the row's number. It was checked in the same transaction. */
export function bindHost(transaction: Transaction, host: HostBinding, now: bigint): bigint {
  const { connection } = transaction;
  const { enrolment, names, addresses, keyFingerprint, vouchedBy } = host;
  const id = connection.insert(
    `INSERT INTO hosts (enrolment, names, addresses, key_fingerprint, state, vouched_by, first_seen, last_seen)
     VALUES (?, ?, ?, ?, 'pending', ?, ?, ?)`,
    enrolment,
    encodeList(names),
    encodeList(addresses),
    keyFingerprint,
    vouchedBy,
    now,
    now,
  );
  for (const name of new Set(names)) connection.run('INSERT INTO host_names VALUES (?, ?)', name, id);
  for (const address of new Set(addresses)) {
    connection.run('INSERT INTO host_addresses VALUES (?, ?, ?)', address, keyFingerprint, id);
  }
  transaction.count('hosts.pending', 1n);
  return id;
}

/** The newest enrolment of this key, which its next certificate belongs to. */
export function enrolledHost({ connection }: Transaction, keyFingerprint: string): bigint | null {
  const sql = `SELECT id FROM hosts WHERE key_fingerprint = ? AND state = 'enrolled' ORDER BY id DESC LIMIT 1`;
  return connection.get<{ id: bigint }>(sql, keyFingerprint)?.id ?? null;
}

/** The host got a certificate: a pending one is now enrolled. */
export function hostIssued(transaction: Transaction, id: bigint, serial: bigint, now: bigint): void {
  const { connection } = transaction;
  connection.run('UPDATE hosts SET serial = ?, last_seen = ? WHERE id = ?', encodeSerial(serial), now, id);
  const enrolled = connection.run(`UPDATE hosts SET state = 'enrolled' WHERE id = ? AND state = 'pending'`, id);
  moveCount(transaction, 'pending', 'enrolled', enrolled);
}

/** The host's first certificate will not come: what was bound for it is let go without a trace. */
export function releasePending(transaction: Transaction, id: bigint): void {
  const { connection } = transaction;
  const sql = `SELECT names FROM hosts WHERE id = ? AND state = 'pending'`;
  const row = connection.get<{ names: string }>(sql, id);
  if (row === undefined) return;
  for (const name of decodeList(row.names)) {
    connection.run('DELETE FROM host_names WHERE name = ? AND host_id = ?', name, id);
  }
  connection.run('DELETE FROM host_addresses WHERE host_id = ?', id);
  connection.run('DELETE FROM hosts WHERE id = ?', id);
  transaction.count('hosts.pending', -1n);
}

/** Lets every binding of this name go; how many there were. */
export function clearHosts(transaction: Transaction, name: string, now: bigint): bigint {
  const { connection } = transaction;
  const rows = connection.all<{ id: bigint; state: HostState }>(
    `SELECT id, state FROM host_names n JOIN hosts h ON h.id = n.host_id WHERE n.name = ? AND state <> 'cleared'`,
    name,
  );
  for (const { id, state } of rows) {
    connection.run(`UPDATE hosts SET state = 'cleared', cleared_at = ? WHERE id = ?`, now, id);
    connection.run('DELETE FROM host_addresses WHERE host_id = ?', id);
    moveCount(transaction, state, 'cleared', 1n);
  }
  return BigInt(rows.length);
}

function moveCount(transaction: Transaction, from: HostState, to: HostState, by: bigint): void {
  transaction.count(`hosts.${from}`, -by);
  transaction.count(`hosts.${to}`, by);
}

function holderOf(row: HolderRow): HostHolder {
  const serial = row.serial === null ? null : decodeSerial(row.serial);
  return { enrolment: row.enrolment, keyFingerprint: row.key_fingerprint, state: row.state, serial };
}
