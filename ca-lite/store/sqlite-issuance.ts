/** The three steps of an issuance in the database: intend, then finish or abandon. */
import type {
  AbandonedIntent,
  AbandonRefusal,
  IntentRefusal,
  IssuanceIntent,
  IssuanceResult,
  ResultRefusal,
} from './decisions.ts';
import type { Prepared } from './prepared.ts';
import type { CertificateState } from './records.ts';
import { giveBackGrant } from './sqlite-grants.ts';
import { type HostConflict, bindHost, checkBinding, enrolledHost, hostIssued, releasePending } from './sqlite-hosts.ts';
import { type LineageRow, beginLineage, dropEmptyLineage, lineageToJoin } from './sqlite-lineages.ts';
import { isKeyRevoked } from './sqlite-revocations.ts';
import { checkToken, consume, giveBackToken } from './sqlite-single-use.ts';
import type { Transaction } from './sqlite-transaction.ts';
import { decodeSerial, encodeList, encodeSerial } from './sqlite-values.ts';

type Intent = Prepared<IssuanceIntent>;
type IntentFields = Omit<Intent, 'audit' | 'token' | 'host'>;

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
  if (isKeyRevoked(transaction, intent.keyFingerprint)) return { refusal: 'key-revoked', holder: null };
  const conflict = host === null ? null : checkBinding(transaction, host);
  if (conflict !== null) return conflict;
  if (isSerialTaken(transaction, intent.serial)) return { refusal: 'serial-exists', holder: null };
  const joined = startsLineage(intent) ? lineageToJoin(transaction, intent.keyFingerprint, intent.keyId) : undefined;
  if (joined?.state === 'quarantined') return { refusal: 'lineage-quarantined', holder: null };
  if (token !== null) consume(transaction, 'token', token);
  insertFirst(transaction, intent, joined);
  return null;
}

function startsLineage({ type, lineage, predecessor }: IntentFields): boolean {
  return type === 'host' && lineage !== null && predecessor === null;
}

/** A certificate that a token allows: it begins a lineage, or waits in the one that this key has under this name already. */
function insertFirst(transaction: Transaction, intent: Intent, joined: LineageRow | undefined): void {
  const hostId = hostOf(transaction, intent);
  if (joined !== undefined) {
    const place = { lineage: joined.lineage, predecessor: decodeSerial(joined.head) };
    return void insertIntent(transaction, { ...intent, ...place }, hostId, null);
  }
  const id = insertIntent(transaction, intent, hostId, null);
  writeSignIn(transaction, intent);
  if (!startsLineage(intent) || intent.lineage === null) return;
  const { keyFingerprint, keyId, serial, now } = intent;
  const first = { id, serial: encodeSerial(serial), key_fingerprint: keyFingerprint, key_id: keyId };
  beginLineage(transaction, intent.lineage, first, now);
}

function writeSignIn({ connection }: Transaction, { signIn, lineage, provisioner, principals, now }: Intent): void {
  if (signIn === undefined || lineage === null) return;
  connection.run(
    'INSERT INTO sign_ins (session, identity, provisioner, principals, claims, signed_in_at) VALUES (?, ?, ?, ?, ?, ?)',
    lineage,
    signIn.identity,
    provisioner,
    encodeList(principals),
    signIn.claims,
    now,
  );
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
    now,
    signature,
    row.id,
  );
  if (row.host_id !== null) hostIssued(transaction, row.host_id, serial, now);
  moveCount(transaction, row, 'issued');
  return null;
}

/** Null when the intent was closed. */
export function abandon(transaction: Transaction, { serial, now, token }: AbandonFields): AbandonRefusal | null {
  const row = findIntent(transaction, serial);
  if (row === undefined) return 'intent-unknown';
  if (row.state !== 'intended') return 'intent-closed';
  transaction.connection.run(
    `UPDATE certificates SET state = 'abandoned', finished_at = ?, host_id = NULL WHERE id = ?`,
    now,
    row.id,
  );
  if (token !== undefined && token !== null) giveBackToken(transaction, token);
  if (row.host_id !== null) releasePending(transaction, row.host_id);
  if (row.grant_id !== null) giveBackGrant(transaction, row.grant_id);
  if (row.lineage !== null && row.predecessor === null) dropEmpty(transaction, row.lineage, row.type);
  moveCount(transaction, row, 'abandoned');
  return null;
}

function dropEmpty(transaction: Transaction, lineage: string, type: Intent['type']): void {
  if (type === 'host') dropEmptyLineage(transaction, lineage);
  else transaction.connection.run('DELETE FROM sign_ins WHERE session = ?', lineage);
}

type IssuanceResultFields = Omit<IssuanceResult, 'audit'>;
type AbandonFields = Omit<AbandonedIntent, 'audit'>;

interface IntentRow {
  readonly id: bigint;
  readonly state: CertificateState;
  readonly type: Intent['type'];
  readonly host_id: bigint | null;
  readonly grant_id: bigint | null;
  readonly lineage: string | null;
  readonly predecessor: Uint8Array | null;
  readonly signed_bytes: Uint8Array;
  readonly signature: Uint8Array | null;
}

export function isSerialTaken({ connection }: Transaction, serial: bigint): boolean {
  return connection.get('SELECT 1 FROM certificates WHERE serial = ?', encodeSerial(serial)) !== undefined;
}

function findIntent({ connection }: Transaction, serial: bigint): IntentRow | undefined {
  return connection.get<IntentRow>(
    `SELECT id, state, type, host_id, grant_id, lineage, predecessor, signed_bytes, signature
     FROM certificates WHERE serial = ?`,
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
   provisioner, requester, host_id, intended_at, signed_bytes, grant_id, identity)
  VALUES (?, ?, 'intended', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** The row's number. */
export function insertIntent(
  transaction: Transaction,
  intent: IntentFields,
  hostId: bigint | null,
  grantId: bigint | null,
): bigint {
  const { connection } = transaction;
  const id = connection.insert(
    INSERT_CERTIFICATE,
    encodeSerial(intent.serial),
    intent.type,
    intent.keyFingerprint,
    intent.keyId,
    encodeList(intent.principals),
    intent.validAfter,
    intent.validBefore,
    intent.lineage,
    intent.predecessor === null ? null : encodeSerial(intent.predecessor),
    intent.provisioner,
    intent.requester,
    hostId,
    intent.now,
    intent.signedBytes,
    grantId,
    intent.signIn?.identity ?? null,
  );
  const names = intent.signIn === undefined ? [] : [intent.signIn.identity];
  for (const name of new Set([intent.keyId, ...intent.principals, ...names])) {
    connection.run('INSERT INTO certificate_names VALUES (?, ?)', name, id);
  }
  transaction.count(`certificates.${intent.type}.intended`, 1n);
  return id;
}

function moveCount(transaction: Transaction, { type, state }: IntentRow, to: CertificateState): void {
  transaction.count(`certificates.${type}.${state}`, -1n);
  transaction.count(`certificates.${type}.${to}`, 1n);
}
