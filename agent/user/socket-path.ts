/**
 * Where the agent's sockets are. The daemon's own directory must be 0700 and belong to the user; a socket that another
 * live process serves is never taken over, one that nobody serves any more is.
 */
import { lstatSync, mkdirSync, mkdtempSync, realpathSync, rmdirSync, statSync, unlinkSync } from 'node:fs';
import { type Server, type Socket, connect } from 'node:net';
import { once } from 'node:events';
import { homedir, tmpdir, userInfo } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { systemErrorCode, systemErrorReason } from '../failure.ts';
import { AgentFailure } from './agent-failure.ts';
import { isPipePath, windowsPipePath } from './windows-pipe.ts';

/** sun_path of macOS less its NUL; Linux has 4 more. */
const MAX_SOCKET_PATH_LENGTH = 103;
const LIVE_CHECK_TIMEOUT_MS = 2000;

/** The control socket of the agent that serves `agentSocket`. */
export function controlSocketOf(agentSocket: string): string {
  return `${agentSocket}.control`;
}

/** The well-known socket of the user's daemon. */
export function defaultSocketPath(environment: NodeJS.ProcessEnv = process.env): string {
  if (process.platform === 'win32') return windowsPipePath(userInfo().username);
  const runtime = environment['XDG_RUNTIME_DIR'];
  const base = runtime === undefined || runtime === '' ? join(homedir(), '.countersign') : join(runtime, 'countersign');
  return join(base, 'agent.sock');
}

/** Whether two paths name one socket, also through links in their directories. */
export function isSamePath(a: string, b: string): boolean {
  return canonical(a) === canonical(b);
}

function canonical(path: string): string {
  if (isPipePath(path)) return path.toLowerCase();
  try {
    return join(realpathSync(dirname(resolve(path))), basename(path));
  } catch {
    return resolve(path);
  }
}

/** Makes the directory of the well-known socket, or checks the one that is there. @throws AgentFailure */
export function preparePrivateDirectory(directory: string): void {
  if (process.platform === 'win32') return; // pipes have no directory
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { mode, uid } = statSync(directory);
  if (uid === process.getuid?.() && (mode & 0o077) === 0) return;
  throw new AgentFailure('socket-directory', `${directory} is not private to you`, {
    advice: `Run: chmod 700 ${directory}, and check that you own it.`,
  });
}

/** A fresh private directory for one agent, as ssh-agent makes it; gone when disposed. */
export function makeTemporarySocketDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'countersign-')); // mkdtemp makes it 0700
  return {
    path,
    [Symbol.dispose]: () => {
      try {
        rmdirSync(path);
      } catch {
        // somebody put something there: not ours to remove
      }
    },
  };
}

/**
 * Lets `server` listen at `path`, 0600. Disposing ends its connections, stops it, and removes the socket if it is still the
 * one made here.
 * @throws AgentFailure `agent-running`, `socket-path`
 */
export async function listenPrivately(server: Server, path: string): Promise<AsyncDisposable> {
  if (!isPipePath(path)) await makeWay(path);
  const connections = new Set<Socket>();
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  await listenAt(server, path);
  const inode = inodeOf(path);
  return {
    [Symbol.asyncDispose]: async () => {
      if (inode !== undefined && inodeOf(path) === inode) unlinkSync(path);
      const closed = once(server, 'close');
      server.close();
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

async function makeWay(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_LENGTH)
    throw new AgentFailure('socket-path', `a socket path may have ${MAX_SOCKET_PATH_LENGTH} bytes at most`, {
      advice: 'Choose a shorter path with -a, or a shorter TMPDIR.',
    });
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new AgentFailure('socket-path', `${path} exists and is not a socket`, {
      advice: 'Remove it, or choose another path with -a.',
    });
  if (await isLive(path))
    throw new AgentFailure('agent-running', `an agent already serves ${path}`, {
      advice: 'Use that one, stop it first, or choose another path with -a.',
    });
  unlinkSync(path);
}

/** True unless the system says that nobody listens: in doubt a socket counts as live. */
export async function isLive(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(LIVE_CHECK_TIMEOUT_MS) });
    return true;
  } catch (error) {
    return !['ECONNREFUSED', 'ENOENT'].includes(systemErrorCode(error) ?? '');
  } finally {
    socket.destroy();
  }
}

async function listenAt(server: Server, path: string): Promise<void> {
  const listening = once(server, 'listening');
  const mask = isPipePath(path) ? undefined : process.umask(0o177); // the socket is 0600 from its first moment
  try {
    server.listen(path);
  } finally {
    if (mask !== undefined) process.umask(mask);
  }
  try {
    await listening;
  } catch (cause) {
    throw new AgentFailure('socket-path', `cannot listen at ${path}: ${systemErrorReason(cause)}`, {
      advice: `Check that ${dirname(path)} exists and that you may write there.`,
      cause,
    });
  }
}

function inodeOf(path: string): bigint | undefined {
  return isPipePath(path) ? undefined : lstatSync(path, { throwIfNoEntry: false, bigint: true })?.ino;
}
