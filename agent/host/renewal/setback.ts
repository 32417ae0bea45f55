/**
 * What to do after a renewal that failed: when to ask again, and whether a person has to act first. Decided by the stable codes of
 * the CA (protocol/api-error.ts) and of the agent, never by prose. Pure.
 */
import { CaError } from '../../ca/ca-error.ts';
import { backOffSeconds, jittered } from '../../schedule/back-off.ts';

/** Nobody is waited for longer than this; a pause that claims more comes from a clock that was wrong. */
export const MAX_PAUSE_SECONDS = 24 * 3600;

const [QUARTER, SIX_HOURS, DAY] = [15 * 60, 6 * 3600, MAX_PAUSE_SECONDS];

/** Refusals that time alone does not mend: how often to look whether somebody decided otherwise, in seconds. */
const pauses: Readonly<Record<string, number>> = {
  'renewal-expired': QUARTER, // a grant is given for hours, and the host should not miss it
  'lineage-quarantined': SIX_HOURS,
  'renewal-no-principals': SIX_HOURS,
  'lifetime-not-allowed': SIX_HOURS,
  'certificate-unknown': SIX_HOURS,
  'renewal-revoked': DAY,
  'key-revoked': DAY,
  'enrolment-cleared': DAY,
  'key-not-allowed': DAY,
  'key-not-supported': DAY,
};

export interface Setback {
  /** Until the next attempt. */
  readonly pauseSeconds: number;
  /** True when nothing gets better until a person acts; the message of the failure says how. */
  readonly needsPerson: boolean;
}

/**
 * @param failures in a row, this one included: 1 or more
 * @param random from 0 on and below 1
 */
export function judgeSetback(failure: unknown, failures: number, random: number): Setback {
  const refusal = failure instanceof CaError ? failure.refusal : undefined;
  const fixed = refusal === undefined ? undefined : pauses[refusal.code];
  if (fixed !== undefined)
    return { pauseSeconds: Math.min(jittered(fixed, random), MAX_PAUSE_SECONDS), needsPerson: true };
  const pause = backOffSeconds(failures, random);
  // The CA spreads its Retry-After over the time that it needs: never earlier, and not much later.
  const asked = refusal?.retryAfterSeconds ?? 0;
  return {
    pauseSeconds: asked > 0 ? Math.min(asked + Math.floor(random * 10), MAX_PAUSE_SECONDS) : pause,
    needsPerson: false,
  };
}
