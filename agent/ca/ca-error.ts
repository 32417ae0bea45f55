/** Failures between the agent and its CA: not reached, not trusted, refused, or an answer that must not be believed. */
import { Failure, type FailureOptions } from '../failure.ts';

export type CaErrorCode =
  | 'ca-url-invalid'
  | 'ca-unreachable' // no connection, or it broke
  | 'ca-timeout'
  | 'ca-untrusted' // the server's certificate does not lead to the pinned root, or is for another name or time
  | 'root-fingerprint-mismatch' // what claims to be the CA's root is another certificate
  | 'time-untrusted' // what it told as the time is not signed by the trusted host CA, is old, or cannot be
  | 'ca-refused' // an answer with an error: `refusal` says which
  | 'ca-reply-invalid' // not the CA's protocol, or over a bound
  | 'ca-keys-unusable' // the SSH CA keys that it announces cannot be used
  | 'challenge-untrusted' // the challenge is not signed by a key of the trusted host CA
  | 'challenge-altered' // the challenge says something else than what was asked for
  | 'statement-refused' // what the CA states is not signed as it should be, or not as documented
  | 'statement-older' // it is older than what was taken over before
  | 'ca-keys-changed' // it is signed under host CA keys that are all unknown here
  | 'krl-unusable' // the revocation list is signed and cannot be read
  | 'certificate-unacceptable'; // the certificate is not the one that was promised

/** The CA's own words for a refusal. */
export interface Refusal {
  readonly status: number;
  /** One of `protocol/api-error.ts`, or another text of at most 64 characters from a newer CA. */
  readonly code: string;
  readonly requestId: string;
  /** How long the CA asked to wait, where it did (`Retry-After`). */
  readonly retryAfterSeconds?: number;
}

export class CaError extends Failure<CaErrorCode> {
  override readonly name = 'CaError';
  /** Only of `ca-refused`. */
  readonly refusal: Refusal | undefined;
  /** Another clock may see it otherwise: ours or the CA's is wrong. */
  readonly concernsTime: boolean;

  constructor(code: CaErrorCode, message: string, options: CaErrorOptions = {}) {
    super(code, message, options);
    this.refusal = options.refusal;
    this.concernsTime = options.concernsTime ?? timeRefusals.has(options.refusal?.code ?? '');
  }
}

export interface CaErrorOptions extends FailureOptions {
  readonly refusal?: Refusal;
  readonly concernsTime?: boolean;
}

/** What a CA says to a token that was made by a wrong clock. */
const timeRefusals: ReadonlySet<string> = new Set(['token-expired', 'token-not-yet-valid']);
