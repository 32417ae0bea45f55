/**
 * One moment on two clocks: lifetimes run on the monotonic one, which no clock change touches; certificates are judged by
 * the wall clock, since their times are absolute.
 */
export interface Moment {
  /** Milliseconds since an arbitrary start; never goes back. */
  readonly monotonicMs: number;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly epochMs: number;
}

export type Clock = () => Moment;

/** The clocks of this process. */
export const systemClock: Clock = () => ({ monotonicMs: performance.now(), epochMs: Date.now() });
