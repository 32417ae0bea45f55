/** The rotation of CA keys in the database. */
import type { CertificateType } from '#openssh/certificate.ts';
import type {
  CaKey,
  CaKeyRecord,
  CaKeysRecord,
  RotationDecision,
  RotationRefusal,
  RotationRequest,
} from './ca-key-decisions.ts';
import type { Prepared } from './prepared.ts';
import type { Connection } from './sqlite-connection.ts';
import type { Transaction } from './sqlite-transaction.ts';

type Request = Prepared<RotationRequest>;
interface Stop {
  readonly refusal: RotationRefusal;
  readonly waiting: number;
}

export function rotate(transaction: Transaction, request: Request): RotationDecision {
  const stop = takeStep(transaction.connection, request);
  if (stop !== null)
    return { accepted: false, ...stop, audit: transaction.audit(request.audit, 'refused', stop.refusal) };
  transaction.connection.run('UPDATE trust SET number = number + 1');
  return { accepted: true, audit: transaction.audit(request.audit, 'allowed', request.force ? 'forced' : 'ok') };
}

function takeStep(connection: Connection, request: Request): Stop | null {
  switch (request.step.do) {
    case 'publish':
      return publish(connection, request, request.step);
    case 'switch':
      return switchKeys(connection, request);
    case 'retire':
      return retire(connection, request);
    case 'withdraw':
      return withdraw(connection, request);
  }
}

function publish(
  connection: Connection,
  { type, now }: Request,
  { current, next }: { current: CaKey; next: CaKey },
): Stop | null {
  if (keyIn(connection, type, 'next') !== undefined) return { refusal: 'rotation-underway', waiting: 0 };
  const isKnown = connection.get('SELECT 1 FROM ca_keys WHERE key = ?', next.key) !== undefined;
  if (isKnown || next.fingerprint === current.fingerprint) return { refusal: 'key-known', waiting: 0 };
  if (keyIn(connection, type, 'current') === undefined) insertKey(connection, type, 'current', current, now);
  insertKey(connection, type, 'next', next, now);
  return null;
}

/** Nothing was signed with it; the audit log remembers it. */
function withdraw(connection: Connection, { type }: Request): Stop | null {
  if (keyIn(connection, type, 'next') === undefined) return { refusal: 'no-next-key', waiting: 0 };
  connection.run(`DELETE FROM ca_keys WHERE type = ? AND state = 'next'`, type);
  return null;
}

function switchKeys(connection: Connection, { type, force, now }: Request): Stop | null {
  const next = keyIn(connection, type, 'next');
  if (next === undefined) return { refusal: 'no-next-key', waiting: 0 };
  const waiting = hostsWithout(connection, type, next.fingerprint, now, MAX_COUNTED).length;
  if (waiting > 0 && !force) return { refusal: 'hosts-not-ready', waiting };
  const move = `UPDATE ca_keys SET state = ?, changed_at = ? WHERE type = ? AND state = ?`;
  connection.run(move, 'old', now, type, 'current');
  connection.run(move, 'current', now, type, 'next');
  return null;
}

function retire(connection: Connection, { type, force, now }: Request): Stop | null {
  const old = connection.all<{ id: bigint; key: Uint8Array }>(
    `SELECT id, key FROM ca_keys WHERE type = ? AND state = 'old'`,
    type,
  );
  if (old.length === 0) return { refusal: 'nothing-to-retire', waiting: 0 };
  const waiting = old.reduce((sum, { key }) => sum + certificatesBy(connection, type, key, now), 0);
  if (waiting > 0 && !force) return { refusal: 'certificates-in-use', waiting };
  connection.run(`UPDATE ca_keys SET state = 'retired', changed_at = ? WHERE type = ? AND state = 'old'`, now, type);
  return null;
}

/** Certificates that are valid and in use: of hosts the heads of lineages, of users all. The CA key ends the bytes that were signed. */
export function certificatesBy(connection: Connection, type: CertificateType, key: Uint8Array, now: bigint): number {
  const from =
    type === 'host'
      ? `lineages l JOIN certificates c ON c.id = l.head_id WHERE l.state <> 'revoked' AND`
      : `certificates c WHERE c.type = 'user' AND`;
  const row = connection.get<{ count: bigint }>(
    `SELECT count(*) AS count FROM ${from} c.state = 'issued' AND c.valid_before > ? AND substr(c.signed_bytes, ?) = ?`,
    now,
    BigInt(-key.length),
    key,
  );
  return Number(row?.count ?? 0n);
}

const MAX_COUNTED = 1_000_000;

/** Names of live hosts whose last report does not name this CA key: unexpired, not revoked, reported or not. */
export function hostsWithout(
  connection: Connection,
  type: CertificateType,
  fingerprint: string,
  now: bigint,
  limit: number,
): string[] {
  const column = type === 'host' ? 'trusted_host_cas' : 'trusted_user_cas'; // JSON lists of fingerprints, which nothing in JSON escapes
  const rows = connection.all<{ name: string }>(
    `SELECT l.name FROM lineages l JOIN certificates c ON c.id = l.head_id LEFT JOIN reports r ON r.lineage_id = l.id
     WHERE l.state <> 'revoked' AND c.valid_before > ?
       AND instr(coalesce(r.${column}, ''), '"' || ? || '"') = 0 LIMIT ?`,
    now,
    fingerprint,
    BigInt(limit),
  );
  return rows.map(({ name }) => name);
}

interface KeyRow {
  readonly type: CertificateType;
  readonly key: Uint8Array;
  readonly fingerprint: string;
  readonly state: CaKeyRecord['state'];
  readonly secret: string;
  readonly created_at: bigint;
  readonly changed_at: bigint;
}

export function readCaKeys(connection: Connection): CaKeysRecord {
  const rows = connection.all<KeyRow>('SELECT * FROM ca_keys ORDER BY id');
  const keys = rows.map(({ type, key, fingerprint, state, secret, created_at: createdAt, changed_at: changedAt }) => {
    return { type, key, fingerprint, state, secret, createdAt, changedAt };
  });
  const number = connection.get<{ number: bigint }>('SELECT number FROM trust')?.number ?? 1n;
  return { number: Number(number), keys };
}

function keyIn(connection: Connection, type: CertificateType, state: string): KeyRow | undefined {
  return connection.get<KeyRow>('SELECT * FROM ca_keys WHERE type = ? AND state = ?', type, state);
}

function insertKey(
  connection: Connection,
  type: CertificateType,
  state: string,
  { key, fingerprint, secret }: CaKey,
  now: bigint,
): void {
  connection.run(
    'INSERT INTO ca_keys (type, key, fingerprint, state, secret, created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
    type,
    key,
    fingerprint,
    state,
    secret,
    now,
    now,
  );
}
