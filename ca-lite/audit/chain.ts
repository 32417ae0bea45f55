/**
 * The hash chain of the audit log. An entry's hash is SHA-256 over the UTF-8 of one JSON array, spelled as RFC 8785 says
 * (no white space), of 16 elements: all text, or null for an absent subject field; numbers in decimal, the hash in hex.
 *
 *   ["countersign-audit-entry-v1", hash of the entry before (64 zeros for entry 1), sequence, time, action, outcome,
 *    code, type, name, serial, keyFingerprint, provisioner, requester, actor, requestId, details]
 *
 * JSON quotes what is inside an element, the number of elements is fixed and the first one says what this is, so no two
 * entries have one encoding, and no hash of something else is a hash of an entry.
 *
 * What it cannot find alone: someone who can write the database can compute a whole new chain and a new head. Only a
 * head that was noted elsewhere finds that; see `verify.ts`.
 */
import { hash } from 'node:crypto';
import type { AuditEntry } from './entry.ts';

export const HASH_LENGTH = 32;
const DOMAIN = 'countersign-audit-entry-v1';

/** How many entries there are, and the hash of the last one. */
export interface ChainHead {
  readonly count: bigint;
  readonly hash: Uint8Array;
}

/** The head of a log without entries. */
export const emptyChain: ChainHead = { count: 0n, hash: new Uint8Array(HASH_LENGTH) };

/** The hash that belongs to `entry` when it follows an entry with the hash `previous`. */
export function entryHash(previous: Uint8Array, entry: Omit<AuditEntry, 'hash'>): Uint8Array {
  const { type, name, serial, keyFingerprint, provisioner, requester, actor, requestId } = entry.subject;
  const elements = [
    DOMAIN,
    toHex(previous),
    `${entry.sequence}`,
    `${entry.time}`,
    entry.action,
    entry.outcome,
    entry.code,
    type,
    name,
    serial === null ? null : `${serial}`,
    keyFingerprint,
    provisioner,
    requester,
    actor,
    requestId,
    entry.details,
  ];
  return hash('sha256', JSON.stringify(elements), 'buffer');
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
