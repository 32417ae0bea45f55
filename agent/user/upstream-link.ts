/**
 * One connection to one upstream agent, on behalf of one client connection: requests one after the other, each with a
 * time limit, and before each whatever session-bind messages the client sent in the meantime, so that the upstream agent
 * can apply its own destination constraints. Opened at first use.
 */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { AgentFrameReader, encodeAgentFrame } from '#openssh/agent-frame.ts';
import { extensionNames } from '#openssh/agent-number.ts';
import { encodeExtensionRequest } from '#openssh/agent-request.ts';
import type { SessionBindings } from './session-bindings.ts';

const CONNECT_TIMEOUT_MS = 2000;
const BIND_TIMEOUT_MS = 2000;

export type UpstreamErrorCode = 'unreachable' | 'timeout' | 'closed' | 'too-many-binds';

export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly code: UpstreamErrorCode;
  constructor(code: UpstreamErrorCode, options?: ErrorOptions) {
    super(`upstream agent: ${code}`, options);
    this.code = code;
  }
}

export class UpstreamLink {
  readonly #path: string;
  readonly #bindings: SessionBindings;
  #socket: Promise<Socket> | undefined;
  #reader = new AgentFrameReader();
  #bindsSent = 0;
  #busy: Promise<unknown> = Promise.resolve();

  constructor(path: string, bindings: SessionBindings) {
    this.#path = path;
    this.#bindings = bindings;
  }

  /** The reply message. Requests of several callers wait for each other. @throws UpstreamError, FormatError */
  request(message: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const reply = this.#busy.then(() => this.#exchangeAfterBinds(message, timeoutMs));
    this.#busy = reply.catch(() => this.close());
    return reply;
  }

  close(): void {
    this.#socket?.then(
      (socket) => socket.destroy(),
      () => undefined,
    );
    this.#socket = undefined;
    this.#reader = new AgentFrameReader();
    this.#bindsSent = 0;
  }

  async #exchangeAfterBinds(message: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const { raw } = this.#bindings;
    if (raw === undefined) throw new UpstreamError('too-many-binds');
    this.#socket ??= openSocket(this.#path);
    const socket = await this.#socket;
    while (this.#bindsSent < raw.length) {
      const contents = raw[this.#bindsSent++] ?? new Uint8Array();
      // its reply is its own business: the upstream agent remembers whether it liked the bind
      await this.#exchange(socket, encodeExtensionRequest(extensionNames.sessionBind, contents), BIND_TIMEOUT_MS);
    }
    return this.#exchange(socket, message, timeoutMs);
  }

  async #exchange(socket: Socket, message: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const deadline = AbortSignal.timeout(timeoutMs);
    socket.write(encodeAgentFrame(message));
    for (;;) {
      const reply = this.#reader.next();
      if (reply !== undefined) return reply;
      this.#reader.push(await nextChunk(socket, deadline));
    }
  }
}

async function openSocket(path: string): Promise<Socket> {
  const socket = connect(path);
  socket.pause();
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) });
  } catch (cause) {
    socket.destroy();
    throw new UpstreamError('unreachable', { cause });
  }
  socket.on('error', () => undefined); // shows as a closed stream to whoever waits
  return socket;
}

async function nextChunk(socket: Socket, deadline: AbortSignal): Promise<Uint8Array> {
  for (;;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk !== null) return chunk;
    if (socket.readableEnded || socket.destroyed) throw new UpstreamError('closed');
    const abort = new AbortController();
    const signal = AbortSignal.any([deadline, abort.signal]);
    try {
      await Promise.race([
        once(socket, 'readable', { signal }),
        once(socket, 'end', { signal }),
        once(socket, 'close', { signal }),
      ]);
    } catch (cause) {
      throw new UpstreamError(deadline.aborted ? 'timeout' : 'closed', { cause });
    } finally {
      abort.abort();
    }
  }
}
