/** When a host asks its CA which keys to trust and what is revoked. Pure. */
import { backOffSeconds } from '../../schedule/back-off.ts';

/** A revocation arrives within this time where the CA is within reach: asked after this long at the latest. */
export const ASK_EVERY_SECONDS = 600;
/** Asked up to this much earlier, so that hosts that were started together do not come together for ever. */
const SPREAD_SECONDS = 60;

/** @param nextAt as it was noted @param now epoch seconds */
export function isTimeToAsk(nextAt: number, now: bigint): boolean {
  return nextQuestionAt(nextAt, now) <= now;
}

/** A time that lies further ahead than any that we note was noted while the clock was wrong, and does not count. */
export function nextQuestionAt(nextAt: number, now: bigint): bigint {
  const noted = BigInt(nextAt);
  return noted - now > BigInt(ASK_EVERY_SECONDS) ? now : noted;
}

/** Epoch seconds. @param random from 0 on and below 1 */
export function afterAnswer(now: bigint, random: number): number {
  return Number(now) + ASK_EVERY_SECONDS - Math.floor(SPREAD_SECONDS * random);
}

/** Epoch seconds. @param failures in a row, this one included @param random from 0 on and below 1 */
export function afterFailure(failures: number, now: bigint, random: number): number {
  return Number(now) + Math.min(backOffSeconds(failures, random), ASK_EVERY_SECONDS);
}
