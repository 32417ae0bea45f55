/**
 * The clock that the agent judges by, and hands to whatever asks for the time. It never sets the clock of the system. What it says is
 * decided in `judgement.ts`; this is its state.
 */
import { uptime } from 'node:os';
import {
  type Anchor,
  type Bounds,
  type Judgement,
  type Reading,
  RELEASED_MS,
  isCredible,
  judgeTime,
} from './judgement.ts';

export type ReadClocks = () => Reading;

/** The clock of the boot is `/proc/uptime` on Linux. */
export const readSystemClocks: ReadClocks = () => ({ wallMs: Date.now(), bootMs: uptime() * 1000 });

export interface ClockOptions {
  readonly read?: ReadClocks;
  /** Of this boot. */
  readonly anchor?: Anchor | undefined;
  readonly bounds?: Partial<Bounds>;
}

export class Clock {
  readonly #read: ReadClocks;
  readonly #bounds: Bounds;
  /** The anchor that is on the disk (`clock-record.ts`). */
  kept: Anchor | undefined;
  #anchor: Anchor | undefined;

  constructor({ read = readSystemClocks, anchor, bounds = {} }: ClockOptions = {}) {
    this.#read = read;
    this.#anchor = anchor;
    this.kept = anchor;
    this.#bounds = { earliestMs: RELEASED_MS, latestMs: Infinity, ...bounds };
  }

  /** Epoch seconds. */
  now(): bigint {
    return BigInt(Math.floor(this.nowMs() / 1000));
  }

  /** Epoch milliseconds. */
  nowMs(): number {
    return this.judge().nowMs;
  }

  judge(): Judgement {
    return judgeTime(this.#read(), this.#anchor, this.#bounds);
  }

  /** The last moment at which the CA told the time or agreed with ours; undefined: none in this boot. */
  get anchor(): Anchor | undefined {
    return this.#anchor;
  }

  /** From the boot on: nobody sets it. For measuring how long something took. */
  bootMs(): number {
    return this.#read().bootMs;
  }

  /** @param trueMs what the CA said just now @returns false when it cannot be, and nothing changed */
  believe(trueMs: number): boolean {
    const reading = this.#read();
    if (!isCredible(trueMs, reading.wallMs, this.#bounds)) return false;
    this.#anchor = { ...reading, trueMs };
    return true;
  }

  /** The CA took what we said by this clock for timely. A doubtful clock is not settled by that. */
  confirm(): void {
    const { kind, nowMs } = this.judge();
    if (kind !== 'doubtful') this.#anchor = { ...this.#read(), trueMs: nowMs };
  }
}
