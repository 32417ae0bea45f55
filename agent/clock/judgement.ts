/**
 * Which time it is, by what a machine knows of itself: its system clock, which anybody may have set or an empty battery may have put to
 * 1970, and the clock of its boot, which nobody sets. An *anchor* is a moment at which the CA told its time or agreed with ours; the
 * clock of the boot carries it on. Without an anchor there is the system clock, as long as it is not impossible. Pure.
 */

/** Both in milliseconds: since the epoch, and since the boot with suspends counted. */
export interface Reading {
  readonly wallMs: number;
  readonly bootMs: number;
}

/** The two clocks at a moment of which the true time is known. */
export interface Anchor extends Reading {
  /** Epoch milliseconds. */
  readonly trueMs: number;
}

/** Epoch milliseconds between which the time must be. */
export interface Bounds {
  /** The release of this program, or the last moment that the CA agreed with. */
  readonly earliestMs: number;
  /** The end of the pinned root. */
  readonly latestMs: number;
}

export type Doubt =
  | 'before-release' // earlier than this program
  | 'before-last-seen' // earlier than a moment that the CA agreed with
  | 'after-root' // later than the end of the pinned root
  | 'jumped'; // set by somebody, or carried on from a snapshot

export interface Judgement {
  /** Epoch milliseconds to judge by. */
  readonly nowMs: number;
  /** `system`: the system clock, and nothing speaks against it; `told`: the CA's signed time; `doubtful`: the CA has to be asked. */
  readonly kind: 'system' | 'told' | 'doubtful';
  /** By how much `nowMs` is ahead of the system clock; 0 with `system`. */
  readonly aheadSeconds: number;
  /** Of `doubtful` alone. */
  readonly doubt?: Doubt;
}

/** Below this, clocks agree: half of what the CA tolerates in a token (protocol/renewal.ts). */
export const AGREEMENT_MS = 30_000;

/** No clock that is right shows less: this program did not exist. 2026-01-01. */
export const RELEASED_MS = 1_767_225_600_000;

export function judgeTime(reading: Reading, anchor: Anchor | undefined, bounds: Bounds): Judgement {
  if (anchor !== undefined) return judgeByAnchor(reading, anchor);
  const doubt = findDoubt(reading.wallMs, bounds);
  const system = { nowMs: reading.wallMs, aheadSeconds: 0 };
  return doubt === undefined ? { ...system, kind: 'system' } : { ...system, kind: 'doubtful', doubt };
}

function judgeByAnchor({ wallMs, bootMs }: Reading, anchor: Anchor): Judgement {
  const carriedMs = anchor.trueMs + (bootMs - anchor.bootMs);
  if (agree(wallMs, carriedMs)) return { nowMs: wallMs, kind: 'system', aheadSeconds: 0 };
  const told = { nowMs: carriedMs, aheadSeconds: Math.round((carriedMs - wallMs) / 1000) };
  const expectedWallMs = anchor.wallMs + (bootMs - anchor.bootMs);
  return agree(wallMs, expectedWallMs) ? { ...told, kind: 'told' } : { ...told, kind: 'doubtful', doubt: 'jumped' };
}

function findDoubt(wallMs: number, { earliestMs, latestMs }: Bounds): Doubt | undefined {
  if (wallMs < RELEASED_MS) return 'before-release';
  if (wallMs < earliestMs - AGREEMENT_MS) return 'before-last-seen';
  return wallMs > latestMs ? 'after-root' : undefined;
}

/** Whether the time that the CA told can be: not earlier than what is certain, unless the system clock says the same. */
export function isCredible(toldMs: number, wallMs: number, { earliestMs }: Bounds): boolean {
  return toldMs >= earliestMs - AGREEMENT_MS || (toldMs >= RELEASED_MS && agree(toldMs, wallMs));
}

function agree(a: number, b: number): boolean {
  return Math.abs(a - b) <= AGREEMENT_MS;
}
