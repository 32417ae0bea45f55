/**
 * The agent's socket: accepts connections of the right user, cuts the stream into messages, hands each to the handler in
 * order, and writes each reply with one call. One request of a connection is worked on at a time, as the protocol has no
 * request numbers; nothing of one connection can hold up or harm another.
 * Bounds: a message of 256 KiB, 32 MiB of incomplete messages over all connections, 60 s to complete a message.
 */
import { type Server, type Socket, createServer } from 'node:net';
import { AgentFrameReader, encodeAgentFrame } from '#openssh/agent-frame.ts';
import { FormatError } from '#openssh/format-error.ts';
import type { AgentState, ConnectionState, Peer } from './agent-state.ts';
import type { ConfirmationDesk } from './confirmation-desk.ts';
import type { Clock } from './moment.ts';
import type { Effect, Outcome } from './outcome.ts';
import { perform } from './perform.ts';
import { handleRequest } from './request-handler.ts';
import { SessionBindings } from './session-bindings.ts';
import type { UpstreamAgents } from './upstream-agents.ts';

const MESSAGE_TIMEOUT_MS = 60_000;
/** While a request is worked on, reading goes on to here, so that a client that goes away is noticed. */
const MAX_READ_AHEAD = 64 * 1024;
const MAX_PENDING_TOTAL = 32 * 1024 * 1024;

export interface AgentServerParts {
  readonly agent: AgentState;
  readonly clock: Clock;
  readonly desk: ConfirmationDesk;
  readonly upstreams: UpstreamAgents;
  /** Who connected; undefined where the platform does not tell. */
  readonly peerOf: (socket: Socket) => Peer | undefined;
  readonly isPeerAllowed: (peer: Peer | undefined) => boolean;
  /** Told of faults of ours; never of what clients do wrong. */
  readonly report: (error: unknown) => void;
}

/** Not listening yet. */
export function createAgentServer(parts: AgentServerParts): Server {
  const pending = new PendingBytes();
  return createServer((socket) => {
    socket.on('error', () => undefined); // a client that vanishes is no fault; 'close' follows
    const peer = parts.peerOf(socket);
    if (parts.isPeerAllowed(peer)) new AgentConnection(socket, peer, parts, pending).start();
    else socket.destroy();
  });
}

/** What incomplete messages take, over all connections. */
class PendingBytes {
  total = 0;
}

class AgentConnection {
  readonly #socket: Socket;
  readonly #parts: AgentServerParts;
  readonly #state: ConnectionState;
  readonly #reader = new AgentFrameReader();
  readonly #gone = new AbortController();
  readonly #upstreams;
  readonly #pending: PendingBytes;
  #counted = 0;
  #isBusy = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, peer: Peer | undefined, parts: AgentServerParts, pending: PendingBytes) {
    this.#socket = socket;
    this.#parts = parts;
    this.#pending = pending;
    this.#state = { bindings: new SessionBindings(), peer };
    this.#upstreams = parts.upstreams.open(this.#state.bindings);
  }

  start(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk);
      this.#work();
    });
    this.#socket.on('drain', () => this.#work());
    this.#socket.on('end', () => this.#gone.abort());
    this.#socket.once('close', () => this.#close());
  }

  /** Works off whole messages until one needs time, or the client does not read its replies. */
  #work(): void {
    try {
      while (!this.#isBusy && !this.#socket.writableNeedDrain && !this.#socket.destroyed) {
        const message = this.#reader.next();
        if (message === undefined) break;
        this.#reply(this.#handle(message));
      }
    } catch (error) {
      if (!(error instanceof FormatError)) this.#parts.report(error);
      this.#socket.destroy();
      return;
    }
    this.#account();
  }

  #handle(message: Uint8Array): Outcome {
    const { agent, clock } = this.#parts;
    return handleRequest(agent, this.#state, message, clock());
  }

  #reply(outcome: Outcome): void {
    if (outcome instanceof Uint8Array) {
      this.#socket.write(encodeAgentFrame(outcome));
      return;
    }
    void this.#replyLater(outcome);
  }

  async #replyLater(effect: Effect): Promise<void> {
    this.#isBusy = true;
    const context = { ...this.#parts, connection: this.#state, upstreams: this.#upstreams, signal: this.#gone.signal };
    const reply = await perform(effect, context, this.#parts.report);
    this.#isBusy = false;
    if (this.#socket.writable) this.#socket.write(encodeAgentFrame(reply));
    this.#work();
  }

  /** Stops reading while there is enough to do, and limits what an unfinished message may cost. */
  #account(): void {
    if (this.#socket.destroyed) return;
    const { pendingLength } = this.#reader;
    this.#count(pendingLength);
    if (pendingLength > 0 && this.#pending.total > MAX_PENDING_TOTAL) return this.#drop();
    if ((this.#isBusy && pendingLength > MAX_READ_AHEAD) || this.#socket.writableNeedDrain) this.#socket.pause();
    else this.#socket.resume();
    this.#limitTime(pendingLength > 0 && !this.#isBusy);
  }

  #count(length: number): void {
    this.#pending.total += length - this.#counted;
    this.#counted = length;
  }

  /** What it had sent counts no more from this moment, so that no other client goes with it. */
  #drop(): void {
    this.#count(0);
    this.#socket.destroy();
  }

  #limitTime(isIncomplete: boolean): void {
    if (!isIncomplete) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    } else this.#timer ??= setTimeout(() => this.#socket.destroy(), MESSAGE_TIMEOUT_MS).unref();
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#count(0);
    this.#gone.abort();
    this.#upstreams[Symbol.dispose]();
  }
}
