/**
 * Requests to the CA over HTTPS: nothing but the pinned root is trusted, every wait and every body has a bound, errors become
 * `CaError`, and an overloaded CA is asked again when it says so. Does I/O.
 * Refused on purpose: redirects (undici follows none), proxies from the environment, bodies over a bound, 1 MiB unless the caller sets another.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { Agent, type Dispatcher } from 'undici';
import { ApiErrorBody } from '#protocol/api-error.ts';
import { version } from '#protocol/version.ts';
import { CaError } from './ca-error.ts';
import { printable } from './foreign-text.ts';
import { parseRetryAfter, retryDelaySeconds } from './retry.ts';
import { transportError } from './transport-error.ts';

export const MAX_BODY_BYTES = 1024 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;
/** The CA dials back to every address of the host before it answers a challenge request. */
const ANSWER_TIMEOUT_MS = 60_000;
const BODY_TIMEOUT_MS = 15_000;
const MAX_MESSAGE_LENGTH = 1000;

/** In place of a root: believe whoever answers. The answer has to prove itself. */
export const UNVERIFIED = 'unverified';

export interface CaClientOptions {
  /** Origin, as `parseCaUrl` gives it. */
  readonly url: string;
  /** PEM of the only root to trust; {@link UNVERIFIED} for the one request that fetches the root itself. */
  readonly root: string;
  /** Ends waiting and running requests; its reason is what they throw. */
  readonly signal?: AbortSignal;
  /** Told before each wait that the CA asked for. */
  readonly onWait?: (seconds: number) => void;
  /** Of one body; default {@link MAX_BODY_BYTES}. */
  readonly maxBodyBytes?: number;
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
  /** Epoch milliseconds of the CA at its last answer (`Date` header, whole seconds); undefined before. */
  readonly caTimeMs: number | undefined;
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
  readonly #options: CaClientOptions;
  readonly #agent: Agent;
  caTimeMs: number | undefined;

  constructor(options: CaClientOptions) {
    this.#options = options;
    const trust = options.root === UNVERIFIED ? { rejectUnauthorized: false } : { ca: [options.root] };
    this.#agent = new Agent({
      connect: { ...trust, minVersion: 'TLSv1.2', timeout: CONNECT_TIMEOUT_MS },
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: BODY_TIMEOUT_MS,
      maxResponseSize: options.maxBodyBytes ?? MAX_BODY_BYTES,
    });
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
    if (status !== 200) throw refusalError(answer, parseJson(body), this.#options.url);
    return { bytes: body, etag };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #send(request: Request): Promise<Answer> {
    let waitedSeconds = 0;
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#sendOnce(request);
      const { status, retryAfter } = answer;
      const delay = retryDelaySeconds({ status, retryAfter, attempt, waitedSeconds, nowMs: Date.now() });
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

  async #sendOnce({ method, path, body, headers: more }: Request): Promise<Answer> {
    const headers = { 'user-agent': `countersign/${version}`, accept: 'application/json', ...more };
    try {
      const response = await this.#agent.request({
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
    const date = Date.parse(headerOf(response, 'date') ?? '');
    if (!Number.isNaN(date)) this.caTimeMs = date;
    const body = await response.body.bytes();
    const [retryAfter, etag] = [headerOf(response, 'retry-after'), headerOf(response, 'etag')];
    return { status: response.statusCode, retryAfter, etag, body };
  }

  #read<T extends TSchema>(answer: Answer, schema: T): Static<T> {
    const value = parseJson(answer.body);
    if (answer.status < 200 || answer.status > 299) throw refusalError(answer, value, this.#options.url);
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

function refusalError({ status, retryAfter }: Answer, value: unknown, url: string): CaError {
  if (!Value.Check(ApiErrorBody, value)) {
    return new CaError('ca-reply-invalid', `${url} answered with HTTP status ${status} and no reason`, {
      advice: 'Check that this is the address of the CA itself and not of something in front of it.',
    });
  }
  const wait = parseRetryAfter(retryAfter, Date.now());
  const facts = { status, code: printable(value.code, 64), requestId: printable(value.requestId, 64) };
  const refusal = wait === undefined ? facts : { ...facts, retryAfterSeconds: wait };
  return new CaError('ca-refused', `the CA refused: ${printable(value.message, MAX_MESSAGE_LENGTH)}`, {
    refusal,
    advice: `The CA's code for this is ${refusal.code}; its log has it under request ${refusal.requestId}.`,
  });
}
