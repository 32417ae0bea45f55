/** What went wrong below HTTP, in words: by the stable codes of Node, OpenSSL and undici, never by message text. */
import { systemErrorCode } from '../failure.ts';
import { CaError, type CaErrorCode } from './ca-error.ts';

interface Explanation {
  readonly code: CaErrorCode;
  readonly what: string;
  readonly advice: string;
}

const checkAddress = 'Check the address and port, that the CA runs, and that no firewall is in between.';
const unreachable = (what: string): Explanation => ({ code: 'ca-unreachable', what, advice: checkAddress });
const slow = (what: string): Explanation => ({ code: 'ca-timeout', what, advice: `${checkAddress} Then try again.` });
const untrusted: Explanation = {
  code: 'ca-untrusted',
  what: 'shows a certificate that the pinned root did not issue',
  advice:
    'Either this is not the CA, or something in between intercepts TLS. If the CA was made anew, pin it again with `countersign bootstrap`.',
};
const wrongTime: Explanation = {
  code: 'ca-untrusted',
  what: 'shows a certificate that is not valid now by the clock of this machine',
  advice: 'Check the clock here (`date -u`) and at the CA.',
};

const explanations: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: unreachable('refuses connections: nothing listens there'),
  ECONNRESET: unreachable('closed the connection'),
  EPIPE: unreachable('closed the connection'),
  UND_ERR_SOCKET: unreachable('closed the connection before its answer was complete'),
  EHOSTUNREACH: unreachable('cannot be reached: there is no route'),
  ENETUNREACH: unreachable('cannot be reached: there is no route'),
  ENOTFOUND: unreachable('has a name that does not resolve'),
  EAI_AGAIN: unreachable('has a name that cannot be resolved now: DNS does not answer'),
  ETIMEDOUT: slow('does not answer'),
  UND_ERR_CONNECT_TIMEOUT: slow('does not answer'),
  UND_ERR_HEADERS_TIMEOUT: slow('took the request and did not answer in time'),
  UND_ERR_BODY_TIMEOUT: slow('stopped in the middle of its answer'),
  UND_ERR_RES_EXCEEDED_MAX_SIZE: {
    code: 'ca-reply-invalid',
    what: 'sent an answer that is larger than any of the protocol',
    advice: 'Check that this is the address of the CA.',
  },
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  CERT_UNTRUSTED: untrusted,
  INVALID_CA: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: {
    code: 'ca-untrusted',
    what: 'shows a certificate for another name',
    advice: 'Use a name of the CA that its certificate has (countersign-ca init --dns).',
  },
  CERT_HAS_EXPIRED: wrongTime,
  CERT_NOT_YET_VALID: wrongTime,
};

/** @param cause what a request threw; a `CaError` passes unchanged */
export function transportError(cause: unknown, url: string): CaError {
  if (cause instanceof CaError) return cause;
  const code = codeOf(cause);
  const known = code === undefined ? undefined : explanations[code];
  const { code: ours, what, advice } = known ?? unreachable(`could not be asked (${code ?? 'unknown cause'})`);
  return new CaError(ours, `${url} ${what}`, { cause, advice, concernsTime: known === wrongTime });
}

/** A name with several addresses fails with an AggregateError: its first member says why. */
function codeOf(error: unknown): string | undefined {
  const own = systemErrorCode(error);
  if (own !== undefined && own in explanations) return own;
  if (error instanceof AggregateError) return codeOf(error.errors[0]) ?? own;
  return own ?? (error instanceof Error && error.cause !== undefined ? codeOf(error.cause) : undefined);
}

/** The CA was not reached, or did not show who it is: another network may do better. */
export function isTransportCode(code: string | null): boolean {
  return code === 'ca-unreachable' || code === 'ca-timeout' || code === 'ca-untrusted';
}
