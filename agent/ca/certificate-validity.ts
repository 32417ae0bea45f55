/** When the certificates of a TLS server are valid. Pure. */

/** Epoch milliseconds in which every certificate of a path is valid; both ends inclusive (RFC 5280 section 4.1.2.5). */
export interface Validity {
  readonly fromMs: number;
  readonly toMs: number;
}

export function includes({ fromMs, toMs }: Validity, ms: number): boolean {
  return fromMs <= ms && ms <= toMs;
}
