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
import type { SignInService } from '../user/session/sign-in-service.ts';
import { listenPrivately } from '../user/socket-path.ts';

export interface ControlParts {
  readonly socket: string;
  readonly state: () => ControlState;
  readonly queue: ConfirmationQueue;
  readonly changes: ChangeSignal;
  readonly signIn: SignInService;
  /** Counts the clients of the event stream: faces that would show a question. */
  readonly watchers: { count: number };
  readonly peerOf: (socket: Socket) => Peer | undefined;
  readonly isPeerAllowed: (peer: Peer | undefined) => boolean;
}

/** Listens when it resolves. @throws AgentFailure */
export async function openControlServer(parts: ControlParts): Promise<AsyncDisposable> {
  let handler: Promise<(socket: Socket) => void> | undefined;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    if (!parts.isPeerAllowed(parts.peerOf(socket))) {
      socket.destroy();
      return;
    }
    handler ??= loadHandler(parts);
    handler.then(
      (handle) => handle(socket),
      () => socket.destroy(),
    );
  });
  return listenPrivately(server, parts.socket);
}

async function loadHandler(parts: ControlParts): Promise<(socket: Socket) => void> {
  const { createControlApp } = await import('./control-app.ts');
  const app = await createControlApp(parts);
  return (socket) => void app.server.emit('connection', socket);
}
