/**
 * A process that sends prepared JSON bodies to one HTTPS route over a number of kept-alive connections, each with one request at a time, and
 * prints as JSON: requests per second, latency quantiles, and its own CPU time. Arguments: port, root certificate, clients, file of bodies, path,
 * expected status.
 *
 * It shares the cores with the server that is measured, so it costs as little as a client in Node can: requests are bytes made beforehand,
 * written to TLS sockets directly, and of a reply only the status and the length are read while the clock runs. What came is looked at
 * afterwards: every reply has to hold a certificate, and no two the same.
 */
import { readFile } from 'node:fs/promises';
import { type TLSSocket, connect } from 'node:tls';
import { decodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { quantile } from './report.ts';

const [port = '', root = '', clients = '1', file = '', path = '/', status = '200'] = process.argv.slice(2);
const authority = `localhost:${port}`;
const ca = await readFile(root, 'utf8');
const requests = (JSON.parse(await readFile(file, 'utf8')) as string[]).map(post);
const expected = Buffer.from(`HTTP/1.1 ${status} `);
const headEnd = Buffer.from('\r\n\r\n');
const READ_LENGTH = 64 * 1024;

interface Connection {
  /** The whole reply, head and body. */
  readonly exchange: (request: Buffer) => Promise<Buffer>;
  readonly close: () => void;
}

// Connections and TLS sessions first: what is measured is the CA at work.
const connections = await Promise.all(Array.from({ length: Number(clients) }, open));
const replies: Buffer[] = [];
const latencies: number[] = [];
let next = 0;
const [started, cpu] = [performance.now(), process.cpuUsage()];
await Promise.all(connections.map(run));
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
for (const connection of connections) connection.close();
checkCertificates();
process.stdout.write(
  JSON.stringify({
    perSecond: replies.length / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    cpuMs: (user + system) / 1000 / replies.length,
  }),
);

async function run({ exchange }: Connection): Promise<void> {
  for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
    const sent = performance.now();
    const reply = await exchange(request);
    latencies.push(performance.now() - sent);
    replies.push(reply);
    if (!reply.subarray(0, expected.length).equals(expected))
      throw new Error(`unexpected: ${reply.toString('latin1')}`);
  }
}

function post(body: string): Buffer {
  const lines = [
    `POST ${path} HTTP/1.1`,
    `host: ${authority}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

async function open(): Promise<Connection> {
  let received: Buffer | undefined;
  let waiting: PromiseWithResolvers<Buffer> | undefined;
  const fail = (error: Error): void => waiting?.reject(error);
  const take = (length: number, buffer: Uint8Array): boolean => {
    const chunk = Buffer.copyBytesFrom(buffer, 0, length);
    received = received === undefined ? chunk : Buffer.concat([received, chunk]);
    if (!isWhole(received)) return true;
    const reply = received;
    received = undefined;
    waiting?.resolve(reply);
    return true;
  };
  const socket = await secured(take);
  socket.on('error', fail).on('close', () => fail(new Error('the server closed the connection')));
  const exchange = async (request: Buffer): Promise<Buffer> => {
    waiting = Promise.withResolvers<Buffer>();
    socket.write(request);
    return waiting.promise;
  };
  await exchange(Buffer.from(`GET /health HTTP/1.1\r\nhost: ${authority}\r\n\r\n`));
  return { exchange, close: () => socket.destroy() };
}

async function secured(take: (length: number, buffer: Uint8Array) => boolean): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const onread = { buffer: new Uint8Array(READ_LENGTH), callback: take };
  const options = { port: Number(port), host: 'localhost', servername: 'localhost', ca, onread };
  const socket = connect(options, () => resolve(socket));
  socket.setNoDelay(true).once('error', reject);
  return promise;
}

/** Every reply of this API says how long it is. */
function isWhole(reply: Buffer): boolean {
  const end = reply.indexOf(headEnd);
  if (end === -1) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(reply.toString('latin1', 0, end))?.[1];
  if (length === undefined) throw new Error('a reply without a length');
  return reply.length >= end + headEnd.length + Number(length);
}

function checkCertificates(): void {
  const serials = new Set(replies.map(serialIn));
  if (serials.size !== requests.length) throw new Error(`${serials.size} certificates for ${requests.length} requests`);
}

function serialIn(reply: Buffer): bigint {
  const { crt } = JSON.parse(reply.toString('utf8', reply.indexOf(headEnd) + headEnd.length)) as { crt: string };
  return decodeCertificate(decodeBase64(crt)).serial;
}
