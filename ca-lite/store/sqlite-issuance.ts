/** The three steps of an issuance in the database: intend, then finish or abandon. */
import type { AbandonRefusal, IntentRefusal, IssuanceIntent, ResultRefusal } from './decisions.ts';
import type { AbandonedIntent, IssuanceResult } from './decisions.ts';
import type { Prepared } from './prepared.ts';
import type { CertificateState } from './records.ts';
import { type HostConflict, bindHost, checkBinding, enrolledHost, hostIssued, releasePending } from './sqlite-hosts.ts';
import { checkToken, consume } from './sqlite-single-use.ts';
import type { Transaction } from './sqlite-transaction.ts';
import { encodeList, encodeSerial } from './sqlite-values.ts';

type Intent = Prepared<IssuanceIntent>;

/** A refusal and, for trust on first use, what is in the way. */
export interface Conflict<Refusal extends string> {
  readonly refusal: Refusal;
  readonly holder: HostConflict['holder'] | null;
}

/** Null when the intent was written. */
export function intend(transaction: Transaction, intent: Intent): Conflict<IntentRefusal> | null {
  const { token, host } = intent;
  const refusal = token === null ? null : checkToken(transaction, token);
  if (refusal !== null) return { refusal, holder: null };
  const conflict = host === null ? null : checkBinding(transaction, host);
  if (conflict !== null) return conflict;
  if (findIntent(transaction, intent.serial) !== undefined) return { refusal: 'serial-exists', holder: null };
  if (token !== null) consume(transaction, 'token', token);
  insertIntent(transaction, intent, hostOf(transaction, intent));
  return null;
}

/** Null when the result was written, or was there already. */
export function finish(
  transaction: Transaction,
  { serial, certificate, now }: IssuanceResultFields,
): ResultRefusal | 'already-recorded' | null {
  const row = findIntent(transaction, serial);
  if (row === undefined) return 'intent-unknown';
  const prefix = Buffer.from(row.signed_bytes);
  const signature = certificate.subarray(prefix.length);
  if (signature.length === 0 || !prefix.equals(certificate.subarray(0, prefix.length))) return 'certificate-differs';
  if (row.state === 'issued' && row.signature !== null && Buffer.from(row.signature).equals(signature))
    return 'already-recorded';
  if (row.state !== 'intended') return 'intent-closed';
  transaction.connection.run(
    `UPDATE certificates SET state = 'issued', finished_at = ?, signature = ? WHERE id = ?`,
    ...[now, signature, row.id],
  );
  if (row.host_id !== null) hostIssued(transaction, row.host_id, serial, now);
  moveCount(transaction, row, 'issued');
  return null;
}

/** Null when the intent was closed. */
export function abandon(transaction: Transaction, { serial, now }: AbandonFields): AbandonRefusal | null {
  const row = findIntent(transaction, serial);
  if (row === undefined) return 'intent-unknown';
  if (row.state !== 'intended') return 'intent-closed';
  transaction.connection.run(
    `UPDATE certificates SET state = 'abandoned', finished_at = ?, host_id = NULL WHERE id = ?`,
    ...[now, row.id],
  );
  if (row.host_id !== null) releasePending(transaction, row.host_id);
  moveCount(transaction, row, 'abandoned');
  return null;
}

type IssuanceResultFields = Omit<IssuanceResult, 'audit'>;
type AbandonFields = Omit<AbandonedIntent, 'audit'>;

interface IntentRow {
  readonly id: bigint;
  readonly state: CertificateState;
  readonly type: Intent['type'];
  readonly host_id: bigint | null;
  readonly signed_bytes: Uint8Array;
  readonly signature: Uint8Array | null;
}

function findIntent({ connection }: Transaction, serial: bigint): IntentRow | undefined {
  return connection.get<IntentRow>(
    'SELECT id, state, type, host_id, signed_bytes, signature FROM certificates WHERE serial = ?',
    encodeSerial(serial),
  );
}

/** The enrolment that a host certificate belongs to: the one being made, or the one that the key has. */
function hostOf(transaction: Transaction, { type, host, keyFingerprint, now }: Intent): bigint | null {
  if (host !== null) return bindHost(transaction, host, now);
  return type === 'host' ? enrolledHost(transaction, keyFingerprint) : null;
}

const INSERT_CERTIFICATE = `INSERT INTO certificates
  (serial, type, state, key_fingerprint, key_id, principals, valid_after, valid_before, lineage, predecessor,
   provisioner, requester, host_id, intended_at, signed_bytes)
  VALUES (?, ?, 'intended', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

function insertIntent(transaction: Transaction, intent: Intent, hostId: bigint | null): void {
  const { connection } = transaction;
  const id = connection.insert(
    INSERT_CERTIFICATE,
    ...[encodeSerial(intent.serial), intent.type, intent.keyFingerprint, intent.keyId, encodeList(intent.principals)],
    ...[intent.validAfter, intent.validBefore, intent.lineage],
    ...[intent.predecessor === null ? null : encodeSerial(intent.predecessor), intent.provisioner, intent.requester],
    ...[hostId, intent.now, intent.signedBytes],
  );
  for (const name of new Set([intent.keyId, ...intent.principals])) {
    connection.run('INSERT INTO certificate_names VALUES (?, ?)', name, id);
  }
  transaction.count(`certificates.${intent.type}.intended`, 1n);
}

function moveCount(transaction: Transaction, { type, state }: IntentRow, to: CertificateState): void {
  transaction.count(`certificates.${type}.${state}`, -1n);
  transaction.count(`certificates.${type}.${to}`, 1n);
}
