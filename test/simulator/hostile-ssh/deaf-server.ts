/**
 * A server that is there and yet never takes a connection: its process is stopped and its backlog is full, so that further
 * SYN packets are dropped, as a firewall would do it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { setImmediate as soon, setTimeout as sleep } from 'node:timers/promises';

export interface DeafServer extends AsyncDisposable {
  readonly port: number;
}

const listener = `
  const server = require('node:net').createServer();
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => process.stdout.write(String(server.address().port)));
`;

export async function startDeafServer(): Promise<DeafServer> {
  const child = spawn(process.execPath, ['-e', listener], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(output.toString());
  child.kill('SIGSTOP');
  const fill: Socket[] = [];
  // One that is not connected soon is one that waits for ever.
  while (await connectsSoon(port, fill));
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of fill) socket.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

async function connectsSoon(port: number, sockets: Socket[]): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => socket.destroy());
  await Promise.race([once(socket, 'connect'), sleep(300)]);
  await soon(); // a connection that came while this process had no time is heard of here
  return !socket.connecting;
}
