/**
 * A process that sends prepared JSON bodies to one HTTPS route over a number of kept-alive connections, each with one request at a time, and
 * prints requests per second and latency quantiles as JSON. Arguments: port, root certificate, clients, file of bodies, path, expected status.
 */
import { readFile } from 'node:fs/promises';
import { Pool } from 'undici';
import { quantile } from './report.ts';

const [port = '', root = '', clients = '1', file = '', path = '/', status = '200'] = process.argv.slice(2);
const bodies = JSON.parse(await readFile(file, 'utf8')) as string[];
const ca = await readFile(root, 'utf8');
const pool = new Pool(`https://localhost:${port}`, {
  connections: Number(clients),
  pipelining: 1,
  connect: { ca, servername: 'localhost' },
});
const headers = { 'content-type': 'application/json' };

// Connections and TLS sessions first: what is measured is the CA at work.
await Promise.all(
  Array.from({ length: Number(clients) }, async () =>
    (await pool.request({ path: '/health', method: 'GET' })).body.dump(),
  ),
);

const latencies: number[] = [];
let next = 0;
const started = performance.now();
await Promise.all(Array.from({ length: Number(clients) }, run));
const seconds = (performance.now() - started) / 1000;
await pool.close();
process.stdout.write(
  JSON.stringify({ perSecond: bodies.length / seconds, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }),
);

async function run(): Promise<void> {
  for (let body = bodies[next++]; body !== undefined; body = bodies[next++]) {
    const sent = performance.now();
    const reply = await pool.request({ path, method: 'POST', headers, body });
    const text = await reply.body.text();
    if (reply.statusCode !== Number(status)) throw new Error(`unexpected status ${reply.statusCode}: ${text}`);
    latencies.push(performance.now() - sent);
  }
}
