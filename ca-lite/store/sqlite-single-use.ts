/** Nonces and tokens that work once, and forgetting them when they can no longer be used. */
import type { NonceRefusal, PruneRequest, PruneResult, SingleUse, SingleUseRefusal, TokenUse } from './decisions.ts';
import type { Transaction } from './sqlite-transaction.ts';

type Kind = 'nonce' | 'token';
type State = 'outstanding' | 'used';

const COUNTER = 'single-use';

/** Why the token cannot be consumed; null when it can. Writes nothing. */
export function checkToken(transaction: Transaction, token: TokenUse): SingleUseRefusal | null {
  if (isForgotten(transaction, token)) return 'token-expired';
  const state = stateOf(transaction, 'token', token.id);
  if (state === 'used') return 'token-used';
  return state === undefined && token.recorded ? 'token-unknown' : null;
}

/** Why the nonce cannot be consumed; null when it can. Writes nothing. */
export function checkNonce(transaction: Transaction, nonce: SingleUse): NonceRefusal | null {
  if (isForgotten(transaction, nonce)) return 'nonce-expired';
  return stateOf(transaction, 'nonce', nonce.id) === undefined ? null : 'nonce-used';
}

/** Why the token cannot be recorded as outstanding; null when it can. Writes nothing. */
export function checkNewToken(transaction: Transaction, token: SingleUse): 'token-exists' | 'token-expired' | null {
  if (isForgotten(transaction, token)) return 'token-expired';
  return stateOf(transaction, 'token', token.id) === undefined ? null : 'token-exists';
}

/** Marks it used, whether outstanding or unseen. It was checked in the same transaction. */
export function consume(transaction: Transaction, kind: Kind, use: SingleUse): void {
  const { id, expiresAt } = use;
  // Most are on record as outstanding.
  const sql = `UPDATE single_use SET state = 'used', expires_at = max(expires_at, ?) WHERE kind = ? AND id = ?`;
  if (transaction.connection.run(sql, expiresAt, kind, id) === 0n) insert(transaction, kind, use, 'used');
}

/** Undoes {@link consume}: a token of ours is outstanding again, another one is as if it had never come. */
export function giveBackToken(transaction: Transaction, { id, recorded }: TokenUse): void {
  const sql = recorded
    ? `UPDATE single_use SET state = 'outstanding' WHERE kind = 'token' AND id = ? AND state = 'used'`
    : `DELETE FROM single_use WHERE kind = 'token' AND id = ? AND state = 'used'`;
  const rows = transaction.connection.run(sql, id);
  if (!recorded) transaction.count(COUNTER, -rows);
}

export function recordOutstanding(transaction: Transaction, token: SingleUse): void {
  insert(transaction, 'token', token, 'outstanding');
}

/**
 * Removes rows whose identifier can no longer be accepted, oldest first. Remembers how far it went, so that what was
 * removed stays refused even when a clock is set back.
 */
export function prune(transaction: Transaction, { now, leewaySeconds, limit }: PruneRequest): PruneResult {
  const through = now - leewaySeconds - 1n;
  const { connection } = transaction;
  const rows = connection.all<{ kind: string; id: string; expires_at: bigint }>(
    'SELECT kind, id, expires_at FROM single_use WHERE expires_at <= ? ORDER BY expires_at LIMIT ?',
    through,
    BigInt(limit),
  );
  for (const { kind, id } of rows) connection.run('DELETE FROM single_use WHERE kind = ? AND id = ?', kind, id);
  const more = rows.length === limit;
  transaction.forgetThrough(more ? (rows.at(-1)?.expires_at ?? through) : through);
  transaction.count(COUNTER, BigInt(-rows.length));
  return { removed: BigInt(rows.length), more };
}

function stateOf({ connection }: Transaction, kind: Kind, id: string): State | undefined {
  const sql = 'SELECT state FROM single_use WHERE kind = ? AND id = ?';
  return connection.get<{ state: State }>(sql, kind, id)?.state;
}

/** 1 for a new row, 0 when the identifier is there. */
function insert(transaction: Transaction, kind: Kind, { id, expiresAt }: SingleUse, state: State): bigint {
  const sql = 'INSERT INTO single_use VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING';
  const inserted = transaction.connection.run(sql, kind, id, state, expiresAt);
  transaction.count(COUNTER, inserted);
  return inserted;
}

function isForgotten(transaction: Transaction, { expiresAt }: SingleUse): boolean {
  return expiresAt <= transaction.prunedThrough;
}
