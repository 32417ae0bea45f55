/** The user agent as a real process, raw clients of its socket, and the environment for programs that use it. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { AgentFrameReader, encodeAgentFrame } from '#openssh/agent-frame.ts';
import { type AgentReply, decodeAgentReply } from '#openssh/agent-reply.ts';
import { encodeListRequest } from '#openssh/agent-request.ts';
import { type LabProcess, startProcess } from '../support/lab-process.ts';
import { agentProgram } from '../support/programs.ts';

export function makeDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'countersign-agent-test-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export interface TestAgent extends AsyncDisposable {
  readonly socket: string;
  /** Private to this test. */
  readonly directory: string;
  readonly process: LabProcess;
  /** For programs that shall use the agent. */
  readonly env: Readonly<Record<string, string>>;
}

/** In the foreground, on its own socket, without other agents unless the arguments name some. */
export async function startTestAgent(
  options: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<TestAgent> {
  const directory = makeDirectory();
  const socket = join(directory.path, 'agent.sock');
  const env = { HOME: directory.path, SSH_AUTH_SOCK: '', SSH_ASKPASS: '', ...options.env };
  const process = startProcess([...agentProgram(), 'agent', '-D', '-a', socket, ...(options.args ?? [])], { env });
  try {
    await process.until((each) => each.stdout().includes('SSH_AUTH_SOCK='));
  } catch (error) {
    await process[Symbol.asyncDispose]();
    throw error;
  }
  return {
    socket,
    process,
    directory: directory.path,
    env: { HOME: directory.path, SSH_AUTH_SOCK: socket },
    [Symbol.asyncDispose]: async () => {
      await process[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

/** A new key file without passphrase. */
export async function makeKeyFile(directory: string, name: string, type = 'ed25519', bits?: number): Promise<string> {
  const path = join(directory, name);
  await execa('ssh-keygen', [
    '-q',
    '-t',
    type,
    ...(bits === undefined ? [] : ['-b', String(bits)]),
    '-N',
    '',
    '-C',
    name,
    '-f',
    path,
  ]);
  return path;
}

/** A client that speaks the protocol byte by byte. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  readonly #reader = new AgentFrameReader();
  readonly #waiting: PromiseWithResolvers<Uint8Array>[] = [];
  readonly closed: Promise<unknown>;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = once(socket, 'close').catch(() => undefined);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk);
      for (let message = this.#reader.next(); message !== undefined; message = this.#reader.next())
        this.#waiting.shift()?.resolve(message);
    });
    socket.on('close', () => {
      for (const each of this.#waiting.splice(0)) each.reject(new Error('the agent closed the connection'));
    });
  }

  static async open(path: string): Promise<RawClient> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** Sends one message and waits for its reply; several may be on their way. */
  async ask(message: Uint8Array): Promise<AgentReply> {
    const waiting = Promise.withResolvers<Uint8Array>();
    this.#waiting.push(waiting);
    this.socket.write(encodeAgentFrame(message));
    return decodeAgentReply(await waiting.promise);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** How many identities a fresh connection sees: proof that the agent is alive. */
export async function countIdentities(socket: string): Promise<number> {
  using client = await RawClient.open(socket);
  const reply = await client.ask(encodeListRequest());
  return reply.type === 'identities' ? reply.identities.length : -1;
}
