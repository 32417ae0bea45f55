/**
 * The daemon of `countersign host run`: passes over the certificates for as long as it lives. It wakes at the start, on its schedule, at
 * the moment when a certificate or a report is due, when a pause after a failure is over, when the clock was set or the machine slept,
 * and when the network came back after a failure. Between passes it holds nothing: no lock, no connection.
 */
import { createTask, validate } from 'node-cron';
import { type Failure, isFailure } from '../../failure.ts';
import type { Clock } from '../../clock/clock.ts';
import { Alarm } from '../../schedule/alarm.ts';
import { watchForWakes } from '../../schedule/wake-watch.ts';
import { RenewalError } from './renewal-error.ts';
import type { PassOutcome } from './renewal-pass.ts';
import { judgeSetback } from './setback.ts';

export const DEFAULT_SCHEDULE = '*/15 * * * *';

export interface DaemonOptions {
  /** A cron expression with five fields, or six with seconds. */
  readonly schedule: string;
  /** Each look of the schedule happens up to this much later; default: 0. */
  readonly jitterSeconds?: number;
  /** One pass, with the lock held. `impatient`: something changed, so that an unreachable CA may be reached now. */
  readonly pass: (impatient: boolean) => Promise<PassOutcome>;
  /** By which moments are waited for. */
  readonly clock: Clock;
  readonly tell: (event: DaemonEvent) => void | Promise<void>;
  /** Ends the daemon, and the pass that runs, in order. */
  readonly signal: AbortSignal;
}

export type DaemonEvent =
  | { readonly event: 'started'; readonly schedule: string }
  | { readonly event: 'woken'; readonly reason: string }
  | { readonly event: 'passed'; readonly outcome: PassOutcome; readonly wakeAt: Date }
  | { readonly event: 'pass-failed'; readonly failure: Failure; readonly wakeAt: Date }
  | { readonly event: 'stopped' };

/** Whether this is a cron expression. */
export function isSchedule(text: string): boolean {
  return validate(text);
}

/** @throws RenewalError `schedule-invalid` */
export function requireSchedule(schedule: string): void {
  if (isSchedule(schedule)) return;
  throw new RenewalError('schedule-invalid', 'the schedule is not a cron expression', {
    advice: `Give five fields, for example "${DEFAULT_SCHEDULE}" for every quarter of an hour.`,
  });
}

/** Resolves after `signal`. @throws RenewalError, and defects */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { schedule, jitterSeconds = 0, tell } = options;
  requireSchedule(schedule);
  const alarm = new Alarm();
  const state = { failed: false };
  using _watch = watchForWakes(alarm, state);
  const task = createTask(schedule, () => alarm.ring('schedule'), {
    suppressMissedWarning: true,
    logger: silent,
    maxRandomDelay: jitterSeconds * 1000,
  });
  await task.start();
  try {
    await tell({ event: 'started', schedule });
    await passUntil(options, alarm, state);
  } finally {
    await task.destroy();
  }
  await tell({ event: 'stopped' });
}

const silent = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };

async function passUntil(options: DaemonOptions, alarm: Alarm, state: { failed: boolean }): Promise<void> {
  const { clock, signal, tell } = options;
  let failures = 0;
  let impatient = true;
  while (!signal.aborted) {
    const result = await tryPass(options, impatient);
    if (signal.aborted) return;
    failures = isFailure(result) ? failures + 1 : 0;
    state.failed = isFailure(result) || hasFailed(result);
    const wakeAt = new Date(isFailure(result) ? afterFailure(result, failures, clock) : whenDue(result));
    await tell(
      isFailure(result)
        ? { event: 'pass-failed', failure: result, wakeAt }
        : { event: 'passed', outcome: result, wakeAt },
    );
    const reason = await alarm.wait(wakeAt.getTime() - clock.nowMs(), signal);
    impatient = reason !== 'due' && reason !== 'schedule';
    if (!signal.aborted && impatient) await tell({ event: 'woken', reason });
  }
}

async function tryPass({ pass }: DaemonOptions, impatient: boolean): Promise<PassOutcome | Failure> {
  try {
    return await pass(impatient);
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
}

/** Epoch milliseconds. */
function afterFailure(failure: Failure, failures: number, clock: Clock): number {
  return clock.nowMs() + judgeSetback(failure, failures, Math.random()).pauseSeconds * 1000;
}

function hasFailed({ keys, following }: PassOutcome): boolean {
  return following?.failure !== undefined || keys.some((key) => (key.failure ?? key.waitingAfter) !== undefined);
}

/** Epoch milliseconds of the first moment when there is something to do. */
function whenDue({ keys, following }: PassOutcome): number {
  const moments = [...keys, ...(following === undefined ? [] : [following])];
  return Math.min(...moments.map(({ nextAt }) => Number(nextAt) * 1000));
}
