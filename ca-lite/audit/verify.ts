/**
 * Walks the audit log and says what is wrong with it, and where. Pure: entries come from the caller, in stored order.
 *
 *   changed          an entry's fields, number or hash are not what was written (also when two entries were swapped)
 *   missing          numbers are left out
 *   reordered        a number comes again, or after a larger one
 *   truncated        the log ends before its head
 *   surplus          there are entries after the head
 *   head-differs     the last entry is not the one in the head
 *   expected-absent  the head that was noted elsewhere is not in this log: it was cut back or rewritten as a whole
 *
 * After a fault the walk goes on from the hash that is stored, so that one damaged entry is one fault.
 */
import { type ChainHead, emptyChain, entryHash } from './chain.ts';
import type { AuditEntry } from './entry.ts';

export type ChainFaultKind =
  'changed' | 'missing' | 'reordered' | 'truncated' | 'surplus' | 'head-differs' | 'expected-absent';

export interface ChainFault {
  readonly kind: ChainFaultKind;
  /** The entry that is damaged, or the first one that is missing; for `expected-absent` the last one. */
  readonly sequence: bigint;
  readonly message: string;
}

export interface ChainReport {
  readonly ok: boolean;
  /** Entries walked. */
  readonly entries: bigint;
  /** The hash of the last entry walked: what to keep elsewhere, for the next `expect`. */
  readonly hash: Uint8Array;
  /** The first {@link MAX_FAULTS} faults. */
  readonly faults: readonly ChainFault[];
  readonly faultCount: number;
  /** The entry whose hash was expected; null when none was given or it is absent. */
  readonly expectedAt: bigint | null;
}

export interface VerifyOptions {
  /** The head that the store keeps beside the log. */
  readonly head: ChainHead;
  /** The hash of this or an earlier head, kept elsewhere. */
  readonly expect?: Uint8Array | undefined;
}

export const MAX_FAULTS = 100;

export function verifyChain(entries: Iterable<AuditEntry>, options: VerifyOptions): ChainReport {
  const verifier = new ChainVerifier(options);
  for (const entry of entries) verifier.push(entry);
  return verifier.finish();
}

/** The walk in steps, for a log that is read page by page. */
export class ChainVerifier {
  readonly #head: ChainHead;
  readonly #expect: Uint8Array | undefined;
  readonly #faults: ChainFault[] = [];
  #faultCount = 0;
  #entries = 0n;
  #sequence = 0n;
  #hash = emptyChain.hash;
  #expectedAt: bigint | null = null;

  constructor({ head, expect }: VerifyOptions) {
    this.#head = head;
    this.#expect = expect;
    this.#lookForExpected();
  }

  push(entry: AuditEntry): void {
    this.#entries += 1n;
    const { sequence } = entry;
    if (sequence <= this.#sequence) {
      this.#fault('reordered', sequence, `entry ${sequence} comes after entry ${this.#sequence}`);
      return;
    }
    if (sequence > this.#sequence + 1n) this.#reportGap(sequence);
    else if (!equal(entryHash(this.#hash, entry), entry.hash)) {
      this.#fault('changed', sequence, `entry ${sequence} is not what was written after entry ${this.#sequence}`);
    }
    this.#sequence = sequence;
    this.#hash = entry.hash;
    this.#lookForExpected();
  }

  finish(): ChainReport {
    this.#checkHead();
    if (this.#expect !== undefined && this.#expectedAt === null) {
      this.#fault('expected-absent', this.#sequence, 'no entry has the expected hash: the log was cut or rewritten');
    }
    return {
      ok: this.#faultCount === 0,
      entries: this.#entries,
      hash: this.#hash,
      faults: this.#faults,
      faultCount: this.#faultCount,
      expectedAt: this.#expectedAt,
    };
  }

  #checkHead(): void {
    const { count, hash } = this.#head;
    const last = this.#sequence;
    if (last < count)
      this.#fault('truncated', last + 1n, `entries ${last + 1n} to ${count} are gone from the end of the log`);
    else if (last > count)
      this.#fault('surplus', count + 1n, `entries ${count + 1n} to ${last} are after the head of the log`);
    else if (!equal(hash, this.#hash))
      this.#fault('head-differs', last, `the head of the log names another entry ${last}`);
  }

  #reportGap(sequence: bigint): void {
    const first = this.#sequence + 1n;
    this.#fault(
      'missing',
      first,
      first === sequence - 1n ? `entry ${first} is missing` : `entries ${first} to ${sequence - 1n} are missing`,
    );
  }

  #lookForExpected(): void {
    if (this.#expect !== undefined && equal(this.#expect, this.#hash)) this.#expectedAt = this.#sequence;
  }

  #fault(kind: ChainFaultKind, sequence: bigint, message: string): void {
    this.#faultCount += 1;
    if (this.#faults.length < MAX_FAULTS) this.#faults.push({ kind, sequence, message });
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
