/** When a host asks its CA which keys to trust and what is revoked. Pure. */
import { backOffSeconds } from '../../schedule/back-off.ts';

/** A revocation arrives within this time where the CA is within reach: asked after this long at the latest. */
export const ASK_EVERY_SECONDS = 600;
/** Asked up to a tenth earlier, so that hosts that were started together do not come together for ever. */
const SPREAD_DIVISOR = 10;

/** @param nextAt as it was noted @param now epoch seconds @param everySeconds how often the CA is asked */
export function isTimeToAsk(nextAt: number, now: bigint, everySeconds = ASK_EVERY_SECONDS): boolean {
  return nextQuestionAt(nextAt, now, everySeconds) <= now;
}

/** A time that lies further ahead than any that we note was noted while the clock was wrong, and does not count. */
export function nextQuestionAt(nextAt: number, now: bigint, everySeconds = ASK_EVERY_SECONDS): bigint {
  const noted = BigInt(nextAt);
  return noted - now > BigInt(everySeconds) ? now : noted;
}

/** Epoch seconds. @param random from 0 on and below 1 */
export function afterAnswer(now: bigint, random: number, everySeconds = ASK_EVERY_SECONDS): number {
  return Number(now) + everySeconds - Math.floor((everySeconds * random) / SPREAD_DIVISOR);
}

/** Epoch seconds. @param failures in a row, this one included @param random from 0 on and below 1 */
export function afterFailure(failures: number, now: bigint, random: number, everySeconds = ASK_EVERY_SECONDS): number {
  return Number(now) + Math.min(backOffSeconds(failures, random), everySeconds);
}
