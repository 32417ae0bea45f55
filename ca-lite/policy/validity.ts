/**
 * From what a request and its token ask for to `validAfter` and `validBefore`. Decided against the CA's clock alone.
 * Shape of the wish: RFC 3339, or a Go duration relative to now, or "" (step-ca's TimeDuration).
 */
import type { LifetimePolicy } from '../config/config.ts';

export interface Validity {
  /** Epoch seconds, inclusive. */
  readonly validAfter: bigint;
  /** Epoch seconds, exclusive. */
  readonly validBefore: bigint;
}

export interface ValidityWish {
  readonly validAfter: string;
  readonly validBefore: string;
}

/** Certificates that start later than this are refused: they would outlive decisions that are made in between. */
const MAX_START_AHEAD_SECONDS = 300n;

/** The validity, or why there is none, in words for a person. */
export function decideValidity(
  wish: ValidityWish,
  policy: LifetimePolicy & { readonly backdateSeconds: number },
  now: bigint,
): Validity | string {
  const start = resolveTime(wish.validAfter, now);
  const end = resolveTime(wish.validBefore, now);
  if (start === 'malformed' || end === 'malformed') return 'a validity is neither RFC 3339 nor a duration such as 8h';
  const backdate = BigInt(policy.backdateSeconds);
  // A client whose clock runs behind may ask for a start in the past, within the back-dating that policy allows anyway.
  const validAfter = start === undefined || start < now - backdate ? now - backdate : start;
  if (validAfter > now + MAX_START_AHEAD_SECONDS) return 'the validity would start more than five minutes from now';
  const validBefore = end ?? (start ?? now) + BigInt(policy.defaultSeconds);
  if (validBefore <= validAfter || validBefore <= now) return 'the validity would be over before it starts';
  if (validBefore - now > BigInt(policy.maxSeconds)) {
    return `the validity would be longer than the ${policy.maxSeconds} seconds that are allowed here`;
  }
  return { validAfter, validBefore };
}

/** Epoch seconds; undefined for "". */
export function resolveTime(text: string, now: bigint): bigint | undefined | 'malformed' {
  if (text === '') return undefined;
  const offset = parseGoDuration(text);
  if (offset !== undefined) return now + offset;
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text)) return 'malformed';
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) || milliseconds < 0 ? 'malformed' : BigInt(Math.floor(milliseconds / 1000));
}

const goUnits: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

/** Whole seconds of a Go duration (`time.ParseDuration`), rounded down; undefined for other text. */
function parseGoDuration(text: string): bigint | undefined {
  const match = /^([+-]?)((?:\d{1,12}(?:\.\d{1,12})?(?:ns|us|µs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of (match[2] ?? '').matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    seconds += Number(amount) * (goUnits[unit ?? ''] ?? 0);
  }
  return BigInt(Math.floor(match[1] === '-' ? -seconds : seconds));
}
