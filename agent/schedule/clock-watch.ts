/**
 * Notices that the wall clock was set, or that the machine slept: the wall clock and the monotonic one went different ways. The
 * monotonic clock of Linux stands still in a suspend, so waking up is seen as well. Pure.
 */

export interface Moment {
  /** Epoch milliseconds. */
  readonly wallMs: number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonicMs: number;
}

const TOLERANCE_MS = 30_000;

/** By how many seconds the wall clock jumped between two moments; 0 for what slewing and a busy machine explain. */
export function clockJumpSeconds(before: Moment, after: Moment): number {
  const jump = after.wallMs - before.wallMs - (after.monotonicMs - before.monotonicMs);
  return Math.abs(jump) > TOLERANCE_MS ? Math.round(jump / 1000) : 0;
}
