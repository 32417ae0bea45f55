/**
 * The connector's HTTP API in front of a simulated device: `GET /connector/status`, `POST /connector/api`, with the
 * status codes and checks of yubihsm-connector 3.0.7. Beside it, for tests in other processes, `POST /simulator/fault`
 * and `GET /simulator/statistics`, which no real connector has.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Device } from './device.ts';
import type { Fault, Faults, PlannedFault } from './faults.ts';

const minLength = 3;
const maxLength = 3136 + 3;

/** A connector that listens. */
export interface RunningConnector extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

/** Listens on the loopback address; port 0 takes a free one. */
export async function startConnector(device: Device, faults: Faults, port: number): Promise<RunningConnector> {
  let turn: Promise<unknown> = Promise.resolve();
  const server = createServer((request, response) => {
    handle(request, response, {
      status: () => statusText(server, faults),
      exchange: (message) => {
        const answer = turn.then(() => deliver(device, faults, message));
        turn = answer.catch(() => {});
        return answer;
      },
      plan: (fault) => faults.plan(fault),
      gone: (gone) => (faults.deviceGone = gone),
      statistics: () => JSON.stringify(statistics(device)),
    }).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 5000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await promisify(server.close.bind(server))();
    },
  };
}

interface Actions {
  status: () => string;
  exchange: (message: Buffer) => Promise<Buffer | 'cut' | 'failed'>;
  plan: (fault: PlannedFault) => void;
  gone: (gone: boolean) => void;
  statistics: () => string;
}

async function handle(request: IncomingMessage, response: ServerResponse, actions: Actions): Promise<void> {
  const [path] = (request.url ?? '').split('?');
  const requestId = request.headers['x-request-id'];
  if (typeof requestId === 'string') response.setHeader('X-Request-ID', requestId);
  switch (path) {
    case '/connector/status':
      return request.method === 'GET'
        ? text(response, 200, actions.status())
        : text(response, 405, 'Method Not Allowed\n');
    case '/connector/api':
      return request.method === 'POST' ? api(request, response, actions) : text(response, 405, 'Method Not Allowed\n');
    case '/simulator/statistics':
      return text(response, 200, `${actions.statistics()}\n`);
    case '/simulator/fault':
      return plan(request, response, actions);
    default:
      return text(response, 404, '404 page not found\n');
  }
}

async function api(request: IncomingMessage, response: ServerResponse, actions: Actions): Promise<void> {
  const length = Number(request.headers['content-length'] ?? Number.NaN);
  if (!(length >= minLength && length <= maxLength)) {
    response.setHeader('Connection', 'close');
    return text(response, 400, 'Bad Request\n');
  }
  const message = await read(request, maxLength);
  const answer = await actions.exchange(message);
  if (answer === 'cut') {
    response.destroy();
    return;
  }
  if (answer === 'failed') return text(response, 500, 'Internal Server Error\n');
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': answer.length });
  response.end(answer);
}

async function plan(request: IncomingMessage, response: ServerResponse, actions: Actions): Promise<void> {
  const body = JSON.parse((await read(request, 4096)).toString('utf8')) as PlannedFault | { deviceGone: boolean };
  if ('deviceGone' in body) actions.gone(body.deviceGone);
  else actions.plan(body);
  text(response, 200, 'planned\n');
}

/** Lets the device answer a message, with the fault that is next. */
async function deliver(device: Device, faults: Faults, message: Buffer): Promise<Buffer | 'cut' | 'failed'> {
  if (faults.deviceGone) return 'failed';
  const fault = faults.next(message.length);
  if (fault?.kind === 'drop' && fault.when === 'before') return 'cut';
  if (fault?.kind === 'power-cut' && fault.when === 'before') device.powerCycle();
  const answer = await device.handle(message);
  return fault === undefined ? answer : spoil(device, fault, answer);
}

async function spoil(device: Device, fault: Fault, answer: Buffer): Promise<Buffer | 'cut' | 'failed'> {
  switch (fault.kind) {
    case 'drop':
      return fault.when === 'after' ? 'cut' : answer;
    case 'delay':
      await sleep(fault.ms);
      return answer;
    case 'corrupt': {
      const changed = Buffer.from(answer);
      changed[changed.length - 1]! ^= 1;
      return changed;
    }
    case 'refuse':
      return Buffer.of(0x7f, 0, 1, fault.number);
    case 'power-cut':
      if (fault.when === 'before') return answer;
      device.powerCycle();
      return 'failed';
  }
}

async function read(request: IncomingMessage, bound: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bound) throw new Error('too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function statusText(server: Server, faults: Faults): string {
  const { address, port } = server.address() as AddressInfo;
  const status = faults.deviceGone ? 'NO_DEVICE' : 'OK';
  return `status=${status}\nserial=*\nversion=3.0.7\npid=${process.pid}\naddress=${address}\nport=${port}\n`;
}

function statistics(device: Device): object {
  const { executed, ...rest } = device.statistics;
  return { ...rest, executed: Object.fromEntries(executed) };
}
