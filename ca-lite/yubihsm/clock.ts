/** Time for what waits: the system's clock, and the place where tests put another one. */
import { setTimeout as sleep } from 'node:timers/promises';

/** A clock that only moves forward, and waiting on it. */
export interface Clock {
  /** Milliseconds since some moment. */
  now(): number;
  /** Waits; rejects with the signal's reason when that comes first. Does not keep the process alive. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The system's monotonic clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wait: (ms, signal) => sleep(ms, undefined, signal ? { signal, ref: false } : { ref: false }),
};
