/**
 * What the CA reads from an OpenID provider: its discovery document (OpenID Connect Discovery 1.0 section 4) and its key set (RFC 7517).
 * Fetched over TLS when first needed, kept for a while, fetched anew for a `kid` that is not known, but not more often than the pause below:
 * a stream of tokens with invented key IDs must not make the CA hammer the provider. Replies are bounded in time and size, redirects refused.
 */
import { type JWTVerifyGetKey, createLocalJWKSet, errors } from 'jose';
import { getCACertificates } from 'node:tls';
import { Agent, request } from 'undici';
import { Type } from 'typebox';
import { Value } from 'typebox/value';

const TIMEOUT_MS = 10_000;
const MAX_REPLY_BYTES = 512 * 1024;
const MAX_KEYS = 256;
/** A provider that takes a key out of its set wants it not to be used any more. */
const KEYS_LIFETIME_MS = 10 * 60_000;
/** Between two fetches for unknown keys, and after a failure. */
const REFETCH_PAUSE_MS = 10_000;

const Discovery = Type.Object({ issuer: Type.String({ maxLength: 2048 }), jwks_uri: Type.String({ maxLength: 2048 }) });
const KeySet = Type.Object({ keys: Type.Array(Type.Object({ kty: Type.String() }), { maxItems: MAX_KEYS }) });

/** The provider cannot be used at the moment, or not at all: nothing can be said about tokens of it. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
  readonly code: 'provider-unreachable' | 'provider-invalid';

  constructor(code: ProviderError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

interface CachedKeys {
  readonly keys: ReturnType<typeof createLocalJWKSet>;
  readonly fetchedAt: number;
}

export class OidcProvider implements AsyncDisposable {
  readonly #issuer: string;
  readonly #agent: Agent;
  readonly #clock: () => number;
  #cached: CachedKeys | undefined;
  #fetching: Promise<CachedKeys> | undefined;
  #lastTry = Number.NEGATIVE_INFINITY;
  #lastFailure: ProviderError | undefined;

  /**
   * @param trust PEM of further certificates to trust, for a provider with a private CA
   * @param clock milliseconds, monotonic
   */
  constructor(issuer: string, trust: string | undefined, clock: () => number = () => performance.now()) {
    this.#issuer = issuer;
    this.#agent = new Agent({
      connect: {
        timeout: TIMEOUT_MS,
        ...(trust === undefined ? {} : { ca: [...getCACertificates('default'), trust] }),
      },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    this.#clock = clock;
  }

  /** For jose: the key that a token's header names. @throws ProviderError, and jose's errors for a key that is not there */
  readonly getKey: JWTVerifyGetKey = async (header, token) => {
    const cached = await this.#fresh();
    try {
      return await cached.keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.#mayFetch()) throw error;
      return (await this.#fetch()).keys(header, token);
    }
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #fresh(): Promise<CachedKeys> {
    const cached = this.#cached;
    if (cached !== undefined && this.#clock() - cached.fetchedAt < KEYS_LIFETIME_MS) return cached;
    if (this.#fetching === undefined && !this.#mayFetch() && this.#lastFailure !== undefined) throw this.#lastFailure;
    return this.#fetch();
  }

  #mayFetch(): boolean {
    return this.#clock() - this.#lastTry >= REFETCH_PAUSE_MS;
  }

  /** Once for many askers. */
  async #fetch(): Promise<CachedKeys> {
    this.#fetching ??= this.#fetchKeys().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchKeys(): Promise<CachedKeys> {
    this.#lastTry = this.#clock();
    try {
      const discovery = await this.#get(`${this.#issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
      if (!Value.Check(Discovery, discovery))
        throw new ProviderError('provider-invalid', 'its discovery document is not one');
      if (discovery.issuer !== this.#issuer)
        throw new ProviderError('provider-invalid', 'its discovery document is of another issuer');
      const keySet = await this.#get(discovery.jwks_uri);
      if (!Value.Check(KeySet, keySet)) throw new ProviderError('provider-invalid', 'its key set is not one');
      this.#cached = { keys: createLocalJWKSet(keySet), fetchedAt: this.#clock() };
      this.#lastFailure = undefined;
      return this.#cached;
    } catch (error) {
      this.#lastFailure =
        error instanceof ProviderError
          ? error
          : new ProviderError('provider-unreachable', 'it cannot be reached', { cause: error });
      throw this.#lastFailure;
    }
  }

  async #get(url: string): Promise<unknown> {
    if (!URL.canParse(url) || new URL(url).protocol !== 'https:')
      throw new ProviderError('provider-invalid', 'it names an address that is not https');
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const { statusCode, body } = await request(url, {
      dispatcher: this.#agent,
      headers: { accept: 'application/json' },
      signal,
    });
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > MAX_REPLY_BYTES)
        throw new ProviderError('provider-invalid', 'it sent more than a document of its kind has');
      chunks.push(chunk);
    }
    if (statusCode !== 200) throw new ProviderError('provider-unreachable', `it answered with status ${statusCode}`);
    try {
      return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
    } catch (cause) {
      throw new ProviderError('provider-invalid', 'it sent something that is not JSON', { cause });
    }
  }
}
