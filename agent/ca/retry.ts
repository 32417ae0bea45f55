/** Whether and when to ask an overloaded CA again (RFC 9110 section 10.2.3, `Retry-After`). Decides; the client waits. */

/** An answer that says: not now. Nothing was done with the request, so that a POST may be sent again too. */
const busyStatuses: ReadonlySet<number> = new Set([429, 503]);

export const MAX_ATTEMPTS = 4;
/** All waiting of one request together; beyond that a person or a timer decides. */
export const MAX_TOTAL_WAIT_SECONDS = 60;

export interface BusyAnswer {
  readonly status: number;
  /** The header as received. */
  readonly retryAfter: string | undefined;
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly waitedSeconds: number;
  /** Epoch milliseconds, for a date in the header. */
  readonly nowMs: number;
}

/** Seconds to wait before asking again; undefined: give up. */
export function retryDelaySeconds(answer: BusyAnswer): number | undefined {
  if (!busyStatuses.has(answer.status) || answer.attempt >= MAX_ATTEMPTS) return undefined;
  const delay = parseRetryAfter(answer.retryAfter, answer.nowMs) ?? 2 ** (answer.attempt - 1);
  return answer.waitedSeconds + delay <= MAX_TOTAL_WAIT_SECONDS ? delay : undefined;
}

/** Delay in seconds, at least 0; undefined for a missing or malformed header. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header);
  if (!/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(header)) return undefined;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - nowMs) / 1000));
}
