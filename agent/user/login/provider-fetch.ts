/**
 * HTTPS to identity providers: the certificate authorities of Node and of the system, those that the CA tells of or the person names, bounds on
 * every wait and every body. Does I/O. Refused on purpose: redirects are the caller's (openid-client follows none), TLS below 1.2.
 */
import { getCACertificates } from 'node:tls';
import type { CustomFetch } from 'openid-client';
import { Agent, fetch } from 'undici';

const MAX_BODY_BYTES = 1024 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;

export interface ProviderFetch extends AsyncDisposable {
  readonly fetch: CustomFetch;
}

/** @param extraCas PEM of certificates to trust besides @param timeoutMs for an answer, and for each silence within it */
export function openProviderFetch(extraCas: readonly string[], timeoutMs: number, signal: AbortSignal): ProviderFetch {
  const ca = [...new Set([...getCACertificates('default'), ...getCACertificates('system')]), ...extraCas];
  const agent = new Agent({
    connect: { ca, minVersion: 'TLSv1.2', timeout: Math.min(CONNECT_TIMEOUT_MS, timeoutMs) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: MAX_BODY_BYTES,
  });
  const bounded: CustomFetch = async (url, options) => {
    const signals = options.signal === undefined ? [signal] : [signal, options.signal];
    const { body, headers, method, redirect } = options;
    const init = { body: body as string | URLSearchParams | null, headers, method, redirect };
    const response = await fetch(url, { ...init, signal: AbortSignal.any(signals), dispatcher: agent });
    return response as unknown as Response; // undici's own class is the same as the global one
  };
  return { fetch: bounded, [Symbol.asyncDispose]: async () => agent.destroy() };
}
