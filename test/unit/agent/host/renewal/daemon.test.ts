/** The daemon's loop with a clock in the test's hand. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { clockJumpSeconds } from '#agent/schedule/clock-watch.ts';
import { type DaemonEvent, requireSchedule, runDaemon } from '#agent/host/renewal/daemon.ts';
import { Clock } from '#agent/clock/clock.ts';
import { HostError } from '#agent/host/host-error.ts';
import type { KeyOutcome, PassOutcome } from '#agent/host/renewal/renewal-pass.ts';

const START = 1_800_000_000_000;
/** The system's, which is the one that vitest fakes. */
const clock = new Clock();

beforeEach(() => {
  vi.useFakeTimers({
    now: START,
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

function outcome(nextInSeconds: number, failure?: HostError): PassOutcome {
  const key: KeyOutcome = {
    path: '/etc/ssh/ssh_host_ed25519_key',
    fingerprint: 'SHA256:x',
    certificate: undefined,
    did: 'nothing',
    changedNames: [],
    reported: false,
    failure,
    waitingAfter: undefined,
    needsPerson: false,
    nextAt: BigInt(Math.floor(Date.now() / 1000) + nextInSeconds),
  };
  return { keys: [key], clock: clock.judge() };
}

/** A daemon whose passes are noted, in seconds from the start. */
function start(schedule: string, pass: (impatient: boolean) => PassOutcome) {
  const stop = new AbortController();
  const passes: number[] = [];
  const events: DaemonEvent[] = [];
  const ended = runDaemon({
    schedule,
    clock,
    signal: stop.signal,
    tell: (event) => void events.push(event),
    pass: async (impatient) => {
      passes.push(Math.round((Date.now() - START) / 1000));
      return Promise.resolve(pass(impatient));
    },
  });
  const end = async () => {
    stop.abort();
    await vi.advanceTimersByTimeAsync(0);
    await ended;
    return events.map(({ event }) => event);
  };
  return { passes, events, end };
}

test('looks at the start, when something is due, and on its schedule', async () => {
  const { passes, end } = start('*/15 * * * *', () => outcome(400));
  await vi.advanceTimersByTimeAsync(1000 * 1000);
  expect(passes).toEqual([0, 400, 800, 900]);
  expect(await end()).toEqual(['started', 'passed', 'passed', 'passed', 'passed', 'stopped']);
});

test('waits longer after each pass that fails, and not at all once one succeeds', async () => {
  const { passes, end } = start('0 0 1 1 *', () => {
    if (passes.length < 6) throw new HostError('sshd-config-unreadable', 'no configuration');
    return outcome(5000);
  });
  await vi.advanceTimersByTimeAsync(3 * 3600 * 1000);
  const gaps = passes.slice(1, 6).map((at, index) => at - (passes[index] ?? 0));
  for (const [index, gap] of gaps.entries()) {
    expect(gap).toBeGreaterThanOrEqual(15 * 2 ** index - 1);
    expect(gap).toBeLessThanOrEqual(30 * 2 ** index + 1);
  }
  expect((passes[6] ?? 0) - (passes[5] ?? 0)).toBe(5000);
  await end();
});

test('wakes, and is impatient, when the clock was set', async () => {
  const patience: boolean[] = [];
  const { passes, events, end } = start('0 0 1 1 *', (impatient) => {
    patience.push(impatient);
    return outcome(50_000);
  });
  await vi.advanceTimersByTimeAsync(25_000);
  expect(passes).toHaveLength(1);
  vi.setSystemTime(Date.now() + 3_600_000);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(passes).toHaveLength(2);
  expect(patience).toEqual([true, true]);
  expect(events.map(({ event }) => event)).toContain('woken');
  await end();
});

test('stops in order while it waits', async () => {
  const { end } = start('*/15 * * * *', () => outcome(100));
  await vi.advanceTimersByTimeAsync(50_000);
  expect(await end()).toEqual(['started', 'passed', 'stopped']);
  expect(vi.getTimerCount()).toBe(0);
});

test.each(['at noon', '', '61 * * * *', '* * *'])('refuses the schedule "%s"', (schedule) => {
  expect(() => requireSchedule(schedule)).toThrow(expect.objectContaining({ code: 'schedule-invalid' }) as Error);
});

test.each([
  ['time that passes', 10_000, 10_000, 0],
  ['a busy machine', 95_000, 95_100, 0],
  ['slewing', 10_000, 15_000, 0],
  ['a clock set ahead', 10_000, 3_610_000, 3600],
  ['a clock set back', 10_000, -3_590_000, -3600],
])('%s', (_, monotonicMs, wallMs, jump) => {
  expect(clockJumpSeconds({ wallMs: 0, monotonicMs: 0 }, { wallMs, monotonicMs })).toBe(jump);
});
