/** A TCP server on a free port, for whatever a test wants to be dialled: it keeps count of its connections, and closes them all. */
import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';

export interface TcpServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Connections accepted since the start. */
  readonly accepted: number;
  /** The most connections that were open at one time, as far as the server has heard of their ends. */
  readonly peak: number;
  /** Resolves when no connection is open. */
  drained(): Promise<void>;
}

export interface ListenOptions {
  readonly host?: string;
  readonly port?: number;
}

/** @param serve gets each connection and its number, from 1; errors of the socket are taken care of */
export async function startTcpServer(
  serve: (socket: Socket, number: number) => void,
  { host = '127.0.0.1', port = 0 }: ListenOptions = {},
): Promise<TcpServer> {
  const open = new Set<Socket>();
  const heard = new Set<Socket>();
  const waiters: (() => void)[] = [];
  let accepted = 0;
  let peak = 0;
  const server = createServer((socket) => {
    open.add(socket);
    accepted += 1;
    const ended = (): void => void heard.delete(socket);
    heard.add(socket);
    peak = Math.max(peak, heard.size);
    socket.on('end', ended).on('error', () => socket.destroy());
    socket.on('close', () => {
      ended();
      open.delete(socket);
      if (open.size === 0) for (const resolve of waiters.splice(0)) resolve();
    });
    serve(socket, accepted);
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    host,
    port: (server.address() as AddressInfo).port,
    get accepted() {
      return accepted;
    },
    get peak() {
      return peak;
    },
    drained: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (open.size === 0) resolve();
      else waiters.push(resolve);
      await promise;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, 'close');
    },
  };
}
