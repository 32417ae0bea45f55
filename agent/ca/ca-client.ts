/**
 * Requests to the CA over HTTPS: nothing but the pinned root is trusted, every wait and every body has a bound, errors become
 * `CaError`, and an overloaded CA is asked again when it says so. Where the time is in doubt, the CA is asked for it. Does I/O.
 * Refused on purpose: redirects (undici follows none), proxies from the environment, bodies over a bound, 1 MiB unless the caller sets another.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { type Agent, type Dispatcher, errors } from 'undici';
import { encodeBase64Url } from '#openssh/base64.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { ApiErrorBody } from '#protocol/api-error.ts';
import { TimeReply } from '#protocol/signed-time.ts';
import { version } from '#protocol/version.ts';
import { Clock } from '../clock/clock.ts';
import { type Authority, fingerprintsOf } from '../state/authority.ts';
import { CaConnections, openAgent } from './ca-connections.ts';
import { CaError } from './ca-error.ts';
import { type Validity, includes } from './certificate-validity.ts';
import { printable } from './foreign-text.ts';
import { parseRetryAfter, retryDelaySeconds } from './retry.ts';
import { judgeSignedTime } from './signed-time.ts';
import { transportError } from './transport-error.ts';

export const MAX_BODY_BYTES = 1024 * 1024;
const MAX_MESSAGE_LENGTH = 1000;
/** Held back for longer, an answer would put the clock too far behind for tokens (protocol/renewal.ts). */
const MAX_TIME_ANSWER_MS = 20_000;

export interface CaClientOptions {
  /** Origin, as `parseCaUrl` gives it. */
  readonly url: string;
  /** PEM of the only root to trust; `UNVERIFIED` for the one request that fetches the root itself. */
  readonly root: string;
  /** Ends waiting and running requests; its reason is what they throw. */
  readonly signal?: AbortSignal;
  /** Told before each wait that the CA asked for. */
  readonly onWait?: (seconds: number) => void;
  /** Of one body; default {@link MAX_BODY_BYTES}. */
  readonly maxBodyBytes?: number;
  /** What the validity of the server's certificate is judged by; default: the clock of the system. */
  readonly clock?: Clock;
  /** Lent by the caller, with this root and clock, and closed by it; default: connections of its own. */
  readonly connections?: CaConnections;
  /** Fingerprints of the host CA keys whose statements are believed; without them, no time of the CA is. */
  readonly statementCas?: ReadonlySet<Fingerprint>;
}

/** The options for a CA that is trusted already. */
export function trusted({ url, rootCertificate, hostCaKeys }: Authority, clock: Clock): CaClientOptions {
  return { url, root: rootCertificate, clock, statementCas: fingerprintsOf(hostCaKeys) };
}

interface Request {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** JSON. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly etag: string | undefined;
  readonly body: Uint8Array;
}

export interface Download {
  /** Undefined when nothing changed since `knownEtag`. */
  readonly bytes: Uint8Array | undefined;
  readonly etag: string | undefined;
}

export interface CaClient extends AsyncDisposable {
  /** Believed for this client; `askTime` changes it. */
  readonly clock: Clock;
  /** Asks the CA for its signed time, and believes it from then on (protocol/signed-time.ts). @throws CaError */
  askTime(): Promise<void>;
  /** @throws CaError */
  get<T extends TSchema>(path: string, schema: T, query?: URLSearchParams): Promise<Static<T>>;
  /** @throws CaError */
  post<T extends TSchema>(path: string, body: unknown, schema: T): Promise<Static<T>>;
  /** A body that is no JSON. @param knownEtag of what is held: sent as `If-None-Match` @throws CaError */
  download(path: string, knownEtag?: string): Promise<Download>;
}

/** Opens no connection yet. Dispose it to close the connections that its requests opened. */
export function openCaClient(options: CaClientOptions): CaClient {
  return new HttpsCaClient(options);
}

class HttpsCaClient implements CaClient {
  readonly clock: Clock;
  readonly #options: CaClientOptions;
  readonly #connections: CaConnections;

  constructor(options: CaClientOptions) {
    this.#options = options;
    this.clock = options.clock ?? new Clock();
    this.#connections = options.connections ?? new CaConnections(options.root, this.clock);
  }

  async askTime(): Promise<void> {
    const { root, statementCas = new Set<Fingerprint>() } = this.#options;
    const seen: Validity[] = [];
    const judgeTime = (validity: Validity) => seen.push(validity) > 0; // as soon as the time is known
    await using stack = new AsyncDisposableStack();
    const agent = stack.adopt(openAgent({ mode: 'own', root, judgeTime }), async (one) => one.destroy());
    let asked = { nonce: '', atMs: 0 };
    const question = (): Request => {
      asked = { nonce: encodeBase64Url(randomBytes(32)), atMs: this.clock.bootMs() };
      return { method: 'GET', path: `/time?nonce=${asked.nonce}` };
    };
    const answer = await this.#send(question, agent);
    const verdict = judgeSignedTime(this.#read(answer, TimeReply), asked.nonce, statementCas);
    if (verdict.fault !== undefined)
      throw timeError(`${this.#options.url} told a time that is not its own: ${verdict.fault}`);
    if (this.clock.bootMs() - asked.atMs > MAX_TIME_ANSWER_MS)
      throw timeError('the signed time came too late to be of use');
    const timeMs = verdict.timeSeconds * 1000;
    if (!seen.every((validity) => includes(validity, timeMs))) {
      throw new CaError(
        'ca-untrusted',
        `${this.#options.url} shows a certificate that is not valid at the CA's own time`,
        {
          advice:
            'The clock of this machine is not to blame. The administrator of the CA looks at its TLS certificate.',
        },
      );
    }
    if (!this.clock.believe(timeMs)) throw timeError(`${this.#options.url} told a time that has passed long ago`);
  }

  async get<T extends TSchema>(path: string, schema: T, query?: URLSearchParams): Promise<Static<T>> {
    const whole = query === undefined ? path : `${path}?${query.toString()}`;
    return this.#read(await this.#send({ method: 'GET', path: whole }), schema);
  }

  async post<T extends TSchema>(path: string, body: unknown, schema: T): Promise<Static<T>> {
    return this.#read(await this.#send({ method: 'POST', path, body: JSON.stringify(body) }), schema);
  }

  async download(path: string, knownEtag?: string): Promise<Download> {
    const known = knownEtag === undefined ? {} : { 'if-none-match': knownEtag };
    const answer = await this.#send({ method: 'GET', path, headers: { accept: '*/*', ...known } });
    const { status, etag, body } = answer;
    if (status === 304 && knownEtag !== undefined) return { bytes: undefined, etag: knownEtag };
    if (status !== 200) throw refusalError(answer, parseJson(body), this.#options.url, this.clock.nowMs());
    return { bytes: body, etag };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#options.connections === undefined) await this.#connections[Symbol.asyncDispose]();
  }

  /** @param request one for all attempts, or what makes one for each */
  async #send(request: Request | (() => Request), agent = this.#connections.agent): Promise<Answer> {
    let waitedSeconds = 0;
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#sendOnce(typeof request === 'function' ? request() : request, agent);
      const { status, retryAfter } = answer;
      const delay = retryDelaySeconds({ status, retryAfter, attempt, waitedSeconds, nowMs: this.clock.nowMs() });
      if (delay === undefined) return answer;
      this.#options.onWait?.(delay);
      await this.#wait(delay);
      waitedSeconds += delay;
    }
  }

  async #wait(seconds: number): Promise<void> {
    try {
      await sleep(seconds * 1000, undefined, this.#signalOptions());
    } catch (error) {
      this.#options.signal?.throwIfAborted(); // the reason of the abort, not the timer's own error
      throw error;
    }
  }

  async #sendOnce({ method, path, body, headers: more }: Request, agent: Agent): Promise<Answer> {
    const headers = { 'user-agent': `countersign/${version}`, accept: 'application/json', ...more };
    try {
      const response = await agent.request({
        origin: this.#options.url,
        method,
        path,
        ...this.#signalOptions(),
        ...(body === undefined ? { headers } : { headers: { ...headers, 'content-type': 'application/json' }, body }),
      });
      return await this.#collect(response);
    } catch (cause) {
      this.#options.signal?.throwIfAborted();
      throw transportError(cause, this.#options.url);
    }
  }

  async #collect(response: Dispatcher.ResponseData): Promise<Answer> {
    const body = await readBounded(response.body, this.#options.maxBodyBytes ?? MAX_BODY_BYTES);
    const [retryAfter, etag] = [headerOf(response, 'retry-after'), headerOf(response, 'etag')];
    return { status: response.statusCode, retryAfter, etag, body };
  }

  #read<T extends TSchema>(answer: Answer, schema: T): Static<T> {
    const value = parseJson(answer.body);
    if (answer.status < 200 || answer.status > 299)
      throw refusalError(answer, value, this.#options.url, this.clock.nowMs());
    if (Value.Check(schema, value)) return value;
    throw new CaError(
      'ca-reply-invalid',
      `${this.#options.url} answered with something that is not the CA's protocol`,
      {
        advice: 'Check the address and port. If this is the CA, it may be of a newer version: update countersign.',
      },
    );
  }

  #signalOptions(): { readonly signal?: AbortSignal } {
    return this.#options.signal === undefined ? {} : { signal: this.#options.signal };
  }
}

/** @throws ResponseExceededMaxSizeError; the connection is closed then */
async function readBounded(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) throw new errors.ResponseExceededMaxSizeError();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

function timeError(message: string): CaError {
  return new CaError('time-untrusted', message, {
    advice:
      'The time is not believed. If the clock of this machine is wrong, set it (`date -u` shows it); if it is right, somebody may be posing as the CA: ask its administrator.',
  });
}

function headerOf(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}

function refusalError({ status, retryAfter }: Answer, value: unknown, url: string, nowMs: number): CaError {
  if (!Value.Check(ApiErrorBody, value)) {
    return new CaError('ca-reply-invalid', `${url} answered with HTTP status ${status} and no reason`, {
      advice: 'Check that this is the address of the CA itself and not of something in front of it.',
    });
  }
  const wait = parseRetryAfter(retryAfter, nowMs);
  const facts = { status, code: printable(value.code, 64), requestId: printable(value.requestId, 64) };
  const refusal = wait === undefined ? facts : { ...facts, retryAfterSeconds: wait };
  return new CaError('ca-refused', `the CA refused: ${printable(value.message, MAX_MESSAGE_LENGTH)}`, {
    refusal,
    advice: `The CA's code for this is ${refusal.code}; its log has it under request ${refusal.requestId}.`,
  });
}
