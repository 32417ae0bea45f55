/**
 * One TCP connection to a literal address and one SSH key exchange on it (RFC 4253 sections 7 and 8), with the client of `ssh2`.
 * What it sends: a version line, KEXINIT, the exchange's first message, NEWKEYS. Nothing follows: the writing side is shut in
 * the moment the exchange is complete, before `ssh2` asks for the authentication service.
 * A key counts when the `handshake` event comes. `ssh2` calls `hostVerifier` before it has verified the exchange signature,
 * so that callback only takes note of the key.
 * Missing: post-quantum exchanges, which `ssh2` does not have; a host that allows nothing else cannot be dialled back.
 * Refused on purpose: group exchange, whose primes the server chooses and nobody checks; SHA-1; compression; a host key that is
 * not the canonical encoding of itself (`ssh2` reads past trailing bytes and does not compare curve names).
 */
import { type Socket, connect } from 'node:net';
import { Duplex } from 'node:stream';
import { type Algorithms, Client, type NegotiatedAlgorithms } from 'ssh2';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { decodePublicKey, encodePublicKey } from '#openssh/public-key.ts';
import { equalBytes } from '#openssh/wire.ts';
import type { DialableAddress } from '../address/dialable.ts';
import { type HostKeyAlgorithm, isHostKeyAlgorithm, keyTypeOfAlgorithm } from './host-key-algorithm.ts';
import type { ExchangeLimits } from './limits.ts';
import type { ExchangeFailure, ProvenKey, UnreachableCause } from './outcome.ts';
import { ServerBytes } from './server-bytes.ts';

export interface ExchangeRequest {
  readonly address: DialableAddress;
  readonly port: number;
  /** The server shows the key for the first of these that it has. */
  readonly algorithms: readonly HostKeyAlgorithm[];
  readonly limits: ExchangeLimits;
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

export type ExchangeOutcome =
  | { readonly code: 'proven'; readonly key: ProvenKey; readonly offered: readonly string[] | undefined }
  | { readonly code: 'nothing-asked-for' }
  | ExchangeFailure;

/** What the host's admin finds in sshd's log; the exchange hash covers it (RFC 4253 section 8). */
const SOFTWARE_VERSION = 'Countersign_dial-back';

const exchange: Algorithms = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group14-sha256',
  ],
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'chacha20-poly1305@openssh.com',
    'aes256-ctr',
    'aes128-ctr',
  ],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
};

/** Never rejects; the connection is closed when it resolves. */
export async function exchangeKeys(request: ExchangeRequest): Promise<ExchangeOutcome> {
  if (request.signal.aborted) return { code: 'aborted' };
  await using attempt = new Attempt(request);
  return await attempt.outcome;
}

class Attempt implements AsyncDisposable {
  readonly outcome: Promise<ExchangeOutcome>;
  readonly #settle: (outcome: ExchangeOutcome) => void;
  readonly #request: ExchangeRequest;
  readonly #socket: Socket;
  readonly #bytes: ServerBytes;
  readonly #timer: NodeJS.Timeout;
  readonly #closed = Promise.withResolvers<void>();
  readonly #onAbort = (): void => this.#end({ code: 'aborted' });
  #stream: Duplex | undefined;
  #shownKey: Uint8Array | undefined;
  #open = true;

  constructor(request: ExchangeRequest) {
    ({ promise: this.outcome, resolve: this.#settle } = Promise.withResolvers<ExchangeOutcome>());
    this.#request = request;
    this.#bytes = new ServerBytes(request.limits);
    const { address, port, limits, signal } = request;
    this.#socket = connect({
      host: address.text,
      port,
      family: address.family,
      autoSelectFamily: false,
      noDelay: true,
    });
    this.#timer = setTimeout(() => this.#end(this.#tooSlow()), Math.max(0, request.deadline - performance.now()));
    signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#socket
      .setTimeout(limits.connectMilliseconds)
      .on('connect', () => this.#onConnect())
      .on('data', (chunk: Buffer) => this.#onData(chunk))
      .on('timeout', () => this.#end(this.#tooSlow()))
      .on('error', (error) => this.#end(this.#lost(error)))
      .on('close', () => {
        this.#end(this.#lost(undefined));
        this.#closed.resolve();
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
    clearTimeout(this.#timer);
    this.#request.signal.removeEventListener('abort', this.#onAbort);
    this.#socket.destroy();
    this.#stream?.destroy();
    await this.#closed.promise;
  }

  /** The first outcome stands; what the library does afterwards reaches nobody. */
  #end(outcome: ExchangeOutcome): void {
    this.#open = false;
    this.#settle(outcome);
  }

  #onConnect(): void {
    this.#socket.setTimeout(this.#request.limits.idleMilliseconds);
    this.#stream = this.#openStream();
    new Client()
      .on('error', (error: Error & { readonly level?: string }) => this.#end(this.#failed(error.level)))
      .on('handshake', (negotiated) => this.#end(this.#proven(negotiated)))
      .connect({
        sock: this.#stream,
        username: 'none',
        ident: SOFTWARE_VERSION,
        readyTimeout: 0,
        algorithms: { ...exchange, serverHostKey: [...this.#request.algorithms] },
        authHandler: (_left, _partial, next) => next(false as never),
        hostVerifier: (key: Buffer) => {
          this.#shownKey = new Uint8Array(key);
          return true;
        },
      });
  }

  /** What `ssh2` takes for its connection: reads what {@link ServerBytes} lets through, writes while nothing is decided. */
  #openStream(): Duplex {
    return new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        if (this.#open) this.#socket.write(chunk);
        done();
      },
    });
  }

  #onData(chunk: Buffer): void {
    if (!this.#open) return;
    const result = this.#bytes.feed(chunk);
    if ('refuse' in result) this.#end({ code: result.refuse });
    else if (result.pass.length > 0) this.#stream?.push(result.pass);
  }

  #proven(negotiated: NegotiatedAlgorithms): ExchangeOutcome {
    const algorithm = negotiated.serverHostKey;
    const key = this.#shownKey === undefined ? undefined : canonicalKey(this.#shownKey);
    if (key === undefined || !isHostKeyAlgorithm(algorithm) || keyTypeOfAlgorithm(algorithm) !== key.type) {
      return { code: 'handshake-failed' };
    }
    return { code: 'proven', key: { ...key, algorithm }, offered: this.#bytes.offered };
  }

  /** @param level of ssh2's error: `handshake` for what it found wrong itself, not for a disconnect or a lost connection */
  #failed(level: string | undefined): ExchangeOutcome {
    if (!this.#bytes.isSsh) return { code: 'not-ssh' };
    if (this.#shownKey !== undefined) return { code: level === 'handshake' ? 'signature-invalid' : 'handshake-failed' };
    const { offered } = this.#bytes;
    const common = offered === undefined || this.#request.algorithms.some((algorithm) => offered.includes(algorithm));
    return { code: common ? 'handshake-failed' : 'nothing-asked-for' };
  }

  #lost(error: NodeJS.ErrnoException | undefined): ExchangeOutcome {
    if (this.#bytes.isSsh) return { code: 'handshake-failed' };
    const cause = error?.code === undefined ? undefined : causes[error.code];
    if (cause !== undefined) return { code: 'unreachable', cause };
    return this.#stream === undefined ? { code: 'unreachable', cause: 'no-route' } : { code: 'not-ssh' };
  }

  #tooSlow(): ExchangeOutcome {
    return this.#stream === undefined ? { code: 'unreachable', cause: 'timed-out' } : { code: 'too-slow' };
  }
}

const causes: Readonly<Record<string, UnreachableCause>> = {
  ECONNREFUSED: 'refused',
  ETIMEDOUT: 'timed-out',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  EHOSTUNREACH: 'no-route',
  ENETUNREACH: 'no-route',
  EADDRNOTAVAIL: 'no-route',
  EACCES: 'no-route',
};

/** The key in a blob, if the blob is how that key is written and no other way of putting it. */
function canonicalKey(blob: Uint8Array): Pick<ProvenKey, 'type' | 'blob' | 'fingerprint'> | undefined {
  try {
    const key = decodePublicKey(blob);
    if (!equalBytes(encodePublicKey(key), blob)) return undefined;
    return { type: key.type, blob, fingerprint: fingerprintOf(blob) };
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
