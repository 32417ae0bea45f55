/** Grants in the database: made, ended, and used up one use at a time inside the transaction that they allow something in. */
import type { Decision } from './decisions.ts';
import type { EndGrantRefusal, EndGrantRequest, GrantDecision, GrantRequest } from './grant-decisions.ts';
import type { Prepared } from './prepared.ts';
import type { LineageRow, MemberRow } from './sqlite-lineages.ts';
import type { Transaction } from './sqlite-transaction.ts';
import { decodeList, decodeSerial } from './sqlite-values.ts';

export function makeGrant(transaction: Transaction, request: Prepared<GrantRequest>): GrantDecision {
  const { kind, value, uses, expiresAt, now, createdBy, audit } = request;
  const grant = transaction.connection.insert(
    `INSERT INTO grants (kind, value, uses, uses_left, expires_at, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    kind,
    value,
    BigInt(uses),
    BigInt(uses),
    expiresAt,
    now,
    createdBy,
  );
  return { accepted: true, grant, audit: transaction.audit(audit, 'allowed', 'ok') };
}

export function endGrant(transaction: Transaction, request: Prepared<EndGrantRequest>): Decision<EndGrantRefusal> {
  const { grant, now, endedBy, audit } = request;
  const { connection } = transaction;
  const refused = (refusal: EndGrantRefusal): Decision<EndGrantRefusal> => ({
    accepted: false,
    refusal,
    audit: transaction.audit(audit, 'refused', refusal),
    holder: null,
  });
  if (connection.get('SELECT 1 FROM grants WHERE id = ?', grant) === undefined) return refused('grant-unknown');
  const ended = connection.run(
    `UPDATE grants SET ended_at = ?, ended_by = ? WHERE id = ? AND ended_at IS NULL AND uses_left > 0 AND expires_at > ?`,
    now,
    endedBy,
    grant,
    now,
  );
  if (ended === 0n) return refused('grant-over');
  return { accepted: true, audit: transaction.audit(audit, 'allowed', 'ok') };
}

export function findHostGrant(
  transaction: Transaction,
  member: MemberRow,
  { lineage }: LineageRow,
  now: bigint,
): bigint | null {
  const names = hostNames(transaction.connection, member);
  return findGrant(transaction, { serial: decodeSerial(member.serial), lineage, kind: 'host', names }, now);
}

/** What a grant may be given to so that it fits. */
export interface GrantTarget {
  readonly serial: bigint;
  readonly lineage: string;
  readonly kind: 'host' | 'user';
  readonly names: readonly string[];
}

/** The grant that fits this certificate best, the narrowest first, then the one that ends first; null without one. */
export function findGrant(
  { connection }: Transaction,
  { serial, lineage, kind, names }: GrantTarget,
  now: bigint,
): bigint | null {
  const row = connection.get<{ id: bigint }>(
    `SELECT id FROM grants WHERE ended_at IS NULL AND uses_left > 0 AND expires_at > ?
       AND ((kind = 'serial' AND value = ?) OR (kind = 'lineage' AND value = ?)
         OR (kind = ? AND value IN (SELECT value FROM json_each(?))))
     ORDER BY CASE kind WHEN 'serial' THEN 1 WHEN 'lineage' THEN 2 ELSE 3 END, expires_at, id LIMIT 1`,
    now,
    String(serial),
    lineage,
    kind,
    JSON.stringify(names),
  );
  return row?.id ?? null;
}

export function useGrant({ connection }: Transaction, grant: bigint): void {
  connection.run('UPDATE grants SET uses_left = uses_left - 1 WHERE id = ?', grant);
}

/** The certificate that it allowed will not come: the use is given back. */
export function giveBackGrant({ connection }: Transaction, grant: bigint): void {
  connection.run('UPDATE grants SET uses_left = min(uses, uses_left + 1) WHERE id = ?', grant);
}

/** What an administrator may call the host: its key ID, its principals, and the names it enrolled under. */
function hostNames(connection: Transaction['connection'], member: MemberRow): string[] {
  const row = connection.get<{ principals: string; names: string | null }>(
    'SELECT c.principals, h.names FROM certificates c LEFT JOIN hosts h ON h.id = c.host_id WHERE c.id = ?',
    member.id,
  );
  return [member.key_id, ...decodeList(row?.principals ?? '[]'), ...decodeList(row?.names ?? '[]')];
}
