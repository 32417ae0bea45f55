/**
 * Rings an alarm when the clock was set or the machine slept, and when other addresses are there while something had failed: the moments at
 * which what could not be done may be done now. Does I/O: looks at the clocks and at the network interfaces every few seconds.
 */
import { networkInterfaces } from 'node:os';
import type { Alarm } from './alarm.ts';
import { type Moment, clockJumpSeconds } from './clock-watch.ts';

const WATCH_MS = 10_000;

/** Dispose it to stop. @param state `failed`: whether another network might do better */
export function watchForWakes(alarm: Alarm, state: { readonly failed: boolean }): Disposable {
  let before = moment();
  let network = addresses();
  const timer = setInterval(() => {
    const [after, there] = [moment(), addresses()];
    const jump = clockJumpSeconds(before, after);
    if (jump !== 0) alarm.ring(`the clock jumped by ${jump} s, or the machine slept`);
    else if (state.failed && there !== network) alarm.ring('the network changed');
    [before, network] = [after, there];
  }, WATCH_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function moment(): Moment {
  return { wallMs: Date.now(), monotonicMs: performance.now() };
}

function addresses(): string {
  return Object.values(networkInterfaces())
    .flatMap((found) => (found ?? []).map(({ address }) => address))
    .toSorted()
    .join(' ');
}
