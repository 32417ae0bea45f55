/**
 * Ports for programs that have to be told one. Below those that Linux gives out by itself (from 32768 on, `ip_local_port_range`), so that no
 * connection and no listener on port 0 takes one meanwhile; and noted with the kernel as an abstract socket (unix(7)) for as long as this process
 * lives, so that no other test file is given it.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { type ListenOptions, type Server, createServer } from 'node:net';

const [FIRST, END] = [16_384, 32_768];

/** Nobody else is given it while this process lives. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, END);
    const note = await listen({ path: `\0countersign-test-port-${port}` });
    if (note === undefined) continue;
    note.unref();
    const server = await listen({ port });
    if (server === undefined) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** @returns undefined where somebody listens */
async function listen(where: ListenOptions): Promise<Server | undefined> {
  const server = createServer();
  server.listen(where);
  try {
    await once(server, 'listening');
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
}
