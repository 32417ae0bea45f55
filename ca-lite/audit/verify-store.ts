/** Verifies the audit log of a store while it is written to: `audit --verify`. Reads it page by page. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StoreReader } from '../store/store.ts';
import type { AuditEntry } from './entry.ts';
import { type ChainReport, ChainVerifier } from './verify.ts';

export interface StoreVerifyOptions {
  /** 32 bytes: the hash of this or an earlier head, kept elsewhere (`audit --verify --expect HASH`). */
  readonly expect?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Looks at each entry, in order; the walk waits for it. */
  readonly inspect?: ((entry: AuditEntry) => Promise<void>) | undefined;
  /** Called after each page with how many entries were walked, and how many there are. */
  readonly onProgress?: ((walked: bigint, total: bigint) => void) | undefined;
}

const PAGE_LENGTH = 500;
/** Below every number that a tampered row can have. */
const LOWEST = -(2n ** 63n);

/**
 * The log up to the head that it has now; what is appended meanwhile is for the next time.
 *
 * @throws StoreError; the signal's reason
 */
export async function verifyStoredAudit(
  store: Pick<StoreReader, 'auditHead' | 'auditFrom'>,
  { expect, signal, inspect, onProgress }: StoreVerifyOptions = {},
): Promise<ChainReport> {
  const { count, hash, lastStored } = await store.auditHead();
  const end = lastStored > count ? lastStored : count;
  const verifier = new ChainVerifier({ head: { count, hash }, expect });
  let walked = 0n;
  for (let from = LOWEST; from <= end;) {
    signal?.throwIfAborted();
    const page = await store.auditFrom(from, PAGE_LENGTH);
    const entries = page.filter(({ sequence }) => sequence <= end);
    for (const entry of entries) {
      verifier.push(entry);
      await inspect?.(entry);
    }
    walked += BigInt(entries.length);
    onProgress?.(walked, count);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_LENGTH) break;
    from = last.sequence + 1n;
    // A store may answer without leaving the thread; a log of millions must not hold up what else it does.
    await nextTurn();
  }
  return verifier.finish();
}
