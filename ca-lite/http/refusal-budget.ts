/**
 * How many refusals one requester may cause before it has to wait. Each refusal costs a line in the audit log that is never removed, and often
 * a look-up or a dial-back: without a bound anybody could fill the disk. Whoever gets what it asks for is never slowed down.
 * A bucket for each requester, refilled steadily; IPv6 requesters count by their /64, which is what one machine has.
 * Pure: the time comes from the caller.
 */
import { requesterGroup } from '../address/requester-group.ts';

/** Refusals at once, and again within a minute. */
export const REFUSALS_PER_MINUTE = 600;
/** Requesters remembered; the longest unheard is forgotten first, which only helps it. */
const MAX_REQUESTERS = 10_000;

interface Bucket {
  left: number;
  /** Milliseconds. */
  at: number;
}

export class RefusalBudget {
  readonly #buckets = new Map<string, Bucket>();

  /** Whole seconds to wait, or 0 to go on. */
  waitSeconds(requester: string, now: number): number {
    const bucket = this.#buckets.get(requesterGroup(requester));
    if (bucket === undefined) return 0;
    refill(bucket, now);
    return bucket.left >= 1 ? 0 : Math.ceil(((1 - bucket.left) * 60) / REFUSALS_PER_MINUTE);
  }

  /** Takes one refusal from the budget; true when that was the last one, which is worth a line in the log. */
  spend(requester: string, now: number): boolean {
    const key = requesterGroup(requester);
    const bucket = this.#buckets.get(key) ?? { left: REFUSALS_PER_MINUTE, at: now };
    refill(bucket, now);
    const before = bucket.left;
    bucket.left = Math.max(0, bucket.left - 1);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    this.#forget();
    return before >= 1 && bucket.left < 1;
  }

  #forget(): void {
    if (this.#buckets.size <= MAX_REQUESTERS) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}

/** A clock that was set back refills nothing, and does not count against anybody later. */
function refill(bucket: Bucket, now: number): void {
  const passed = Math.max(0, now - bucket.at);
  bucket.left = Math.min(REFUSALS_PER_MINUTE, bucket.left + (passed * REFUSALS_PER_MINUTE) / 60_000);
  bucket.at = now;
}
