/** How long to wait after failures in a row: doubled each time, capped, and spread so that machines that failed together do not come back together. Pure. */

const FIRST_SECONDS = 30;
const CAP_SECONDS = 3600;

/**
 * 30 s, doubled with each failure up to an hour; of that, half to all.
 * @param failures in a row: 1 or more @param random from 0 on and below 1
 */
export function backOffSeconds(failures: number, random: number): number {
  return jittered(Math.min(FIRST_SECONDS * 2 ** Math.min(failures - 1, 20), CAP_SECONDS), random);
}

/** From half of `seconds` to all of them. @param random from 0 on and below 1 */
export function jittered(seconds: number, random: number): number {
  return Math.ceil(seconds / 2 + (seconds / 2) * random);
}
