/**
 * TLS connections to one CA, kept open between requests. A command that asks the CA several questions through clients of its own lends
 * them one of these: the handshake is made once. Does I/O.
 */
import { Agent } from 'undici';
import type { Clock } from '../clock/clock.ts';
import { includes } from './certificate-validity.ts';
import { type TlsTrust, tlsConnector } from './tls-connector.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** The CA dials back to every address of the host before it answers a challenge request. */
const ANSWER_TIMEOUT_MS = 60_000;
const BODY_TIMEOUT_MS = 15_000;

/** In place of a root: believe whoever answers. The answer has to prove itself. */
export const UNVERIFIED = 'unverified';

export class CaConnections implements AsyncDisposable {
  readonly #root: string;
  readonly #clock: Clock;
  #opened: { readonly agent: Agent; readonly isSystemTime: boolean } | undefined;

  /** Opens no connection yet. @param root PEM of the only root to trust, or {@link UNVERIFIED} @param clock what the validity of the server's certificate is judged by */
  constructor(root: string, clock: Clock) {
    this.#root = root;
    this.#clock = clock;
  }

  /** Connections that were made by another clock are not used again. */
  get agent(): Agent {
    const isSystemTime = this.#clock.judge().kind === 'system';
    if (this.#opened?.isSystemTime !== isSystemTime) {
      void this.#opened?.agent.close(); // after the requests that run
      this.#opened = { agent: openAgent(this.#trust(isSystemTime)), isSystemTime };
    }
    return this.#opened.agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened?.agent.destroy();
  }

  #trust(isSystemTime: boolean): TlsTrust {
    const root = this.#root;
    if (root === UNVERIFIED) return { mode: 'unverified' };
    if (isSystemTime) return { mode: 'system', root };
    return { mode: 'own', root, judgeTime: (validity) => includes(validity, this.#clock.nowMs()) };
  }
}

/** Every wait has a bound. */
export function openAgent(trust: TlsTrust): Agent {
  return new Agent({
    connect: tlsConnector(trust, CONNECT_TIMEOUT_MS),
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: BODY_TIMEOUT_MS,
  });
}
