/**
 * The control API of the user agent (protocol/control.ts) on its own socket. Nothing of the agent socket depends on it:
 * a face that hangs or dies holds up no signature.
 * The HTTP library is loaded at the first connection: an agent without a face does not pay for it.
 */
import { type Socket, createServer } from 'node:net';
import type { ControlState } from '#protocol/control.ts';
import type { ChangeSignal } from '../user/change-signal.ts';
import type { ConfirmationQueue } from '../user/confirmation-queue.ts';
import type { Peer } from '../user/agent-state.ts';
import { listenPrivately } from '../user/socket-path.ts';

export interface ControlParts {
  readonly socket: string;
  readonly state: () => ControlState;
  readonly queue: ConfirmationQueue;
  readonly changes: ChangeSignal;
  readonly peerOf: (socket: Socket) => Peer | undefined;
  readonly isPeerAllowed: (peer: Peer | undefined) => boolean;
}

/** Listens when it resolves. @throws AgentFailure */
export async function openControlServer(parts: ControlParts): Promise<AsyncDisposable> {
  const connections = new Set<Socket>();
  let handler: Promise<(socket: Socket) => void> | undefined;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    if (!parts.isPeerAllowed(parts.peerOf(socket))) {
      socket.destroy();
      return;
    }
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    handler ??= loadHandler(parts);
    void handler.then((handle) => handle(socket));
  });
  const listening = await listenPrivately(server, parts.socket);
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of connections) socket.destroy();
      await listening[Symbol.asyncDispose]();
    },
  };
}

async function loadHandler(parts: ControlParts): Promise<(socket: Socket) => void> {
  const { createControlApp } = await import('./control-app.ts');
  const app = await createControlApp(parts);
  return (socket) => void app.server.emit('connection', socket);
}
