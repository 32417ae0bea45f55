/**
 * Verifies the chain of the device's audit log: `digest_i = SHA-256(first 16 bytes of entry i | digest_{i-1})`, cut to 16
 * bytes (Yubico, "Get Log Entries"). Pure.
 *
 * The very first entry starts from random bytes, so a chain can only be verified from an entry that was seen before; the
 * caller keeps the last one. Without it the first entry of the page is trusted, and the result says so.
 */
import { createHash } from 'node:crypto';
import type { LogEntry } from './commands/log.ts';
import { HsmError } from './errors.ts';
import { sameBytes } from './scp03.ts';
import { concat } from './wire.ts';

/** The last entry that was seen and verified. */
export interface LogPosition {
  number: number;
  digest: Uint8Array;
}

/** The outcome of {@link verifyLogChain}. */
export interface VerifiedLog {
  /** The entries that were not seen before, oldest first. */
  fresh: LogEntry[];
  /** Where the next page goes on; undefined when there was never an entry. */
  position: LogPosition | undefined;
  /** Says whether the first fresh entry is linked to what was known before. */
  linked: boolean;
}

/**
 * Verifies a page of entries from the last known position on. Entries that were seen already are recognised, verified
 * again and not reported twice. Throws {@link HsmError} `log-chain-broken` when a digest or number does not follow, or
 * when entries between the known position and the page are gone.
 */
export function verifyLogChain(entries: readonly LogEntry[], known?: LogPosition): VerifiedLog {
  const start = known === undefined ? -1 : entries.findIndex((entry) => entry.number === known.number);
  const overlap = entries.slice(0, start + 1);
  const fresh = entries.slice(start + 1);
  if (known !== undefined && start >= 0 && !sameBytes(entries[start]!.digest, known.digest)) {
    throw broken(known.number, 'is not the entry that was seen before: the device was reset or replaced');
  }
  verifyFollowing(overlap, undefined);
  verifyFollowing(fresh, known);
  const last = entries.at(-1);
  return {
    fresh,
    position: last === undefined ? known : { number: last.number, digest: last.digest },
    linked: known !== undefined,
  };
}

function verifyFollowing(entries: readonly LogEntry[], before: LogPosition | undefined): void {
  let previous = before;
  for (const entry of entries) {
    if (previous !== undefined) verifyNext(entry, previous);
    previous = entry;
  }
}

function verifyNext(entry: LogEntry, previous: LogPosition): void {
  if (entry.number !== ((previous.number + 1) & 0xffff)) {
    throw broken(entry.number, `does not follow ${previous.number}: entries between them are gone`);
  }
  if (!sameBytes(entry.digest, chainDigest(entry, previous.digest))) {
    throw broken(entry.number, 'does not carry the digest that its predecessor demands: the log was changed');
  }
}

/** The digest that an entry must have after this one. */
export function chainDigest(entry: Pick<LogEntry, 'covered'>, previous: Uint8Array): Uint8Array {
  return createHash('sha256').update(concat(entry.covered, previous)).digest().subarray(0, 16);
}

function broken(number: number, why: string): HsmError {
  return new HsmError('log-chain-broken', `entry ${number} of the device's audit log ${why}`);
}
