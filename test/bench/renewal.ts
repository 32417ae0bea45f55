/**
 * Renewals: what one costs at 10^4 and at 10^6 stored certificates, and how many there are a second, through the CA's HTTP server (in one
 * process, without TLS, on a durable store). The two stores take turns in one run, so that both meet the same machine. Compared is CPU time,
 * which a busy disk does not change, beside the time that passes; and the bytes that are written.
 */
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeBase64 } from '#openssh/base64.ts';
import { openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import { CA_NAME, ClockCa } from '#test/simulator/devices/clock-ca.ts';
import { type HostKey, makeHostKey, sshpopToken } from '#test/support/sshpop-client.ts';
import { type BenchReport, type BenchRow, quantile } from './report.ts';
import { fillStore } from './store-filling.ts';

const HOSTS = 100;
const TURNS = 6;
/** Of each store in each turn, one after the other. */
const ALONE = 50;
/** The same, all hosts at once. */
const WAVES = 3;
const SIZES = [10_000, 1_000_000] as const;

interface Host {
  readonly key: HostKey;
  certificate: Uint8Array;
}

interface Contestant {
  readonly size: number;
  readonly ca: ClockCa;
  readonly hosts: readonly Host[];
  readonly times: number[];
  cpuMs: number;
  alone: number;
  written: number;
  together: number;
  seconds: number;
}

export async function bench(): Promise<BenchReport> {
  await using stack = new AsyncDisposableStack();
  const contestants: Contestant[] = [];
  for (const size of SIZES) contestants.push(await prepare(size, stack));
  for (let turn = 1; turn <= TURNS; turn++) {
    process.stderr.write(`  turn ${turn} of ${TURNS}\n`);
    for (const one of contestants) await alone(one);
    for (const one of contestants) await together(one);
  }
  return { title: 'Renewals', rows: rowsOf(contestants) };
}

function rowsOf([small, large]: readonly Contestant[]): BenchRow[] {
  if (small === undefined || large === undefined) return [];
  const against = `${small.size.toLocaleString('en')} stored`;
  const compared = (what: string, unit: string, of: (one: Contestant) => number, goal?: number): BenchRow[] => {
    const [value, ratio] = [of(large), of(large) / of(small)];
    const judged = goal === undefined ? {} : { goal: 'flat', met: ratio <= goal };
    return [
      { what: `${what}, ${against}`, value: of(small), unit },
      { what: `${what}, ${large.size.toLocaleString('en')} stored`, value, unit, against, ratio, ...judged },
    ];
  };
  return [
    ...compared('CPU of one renewal', 'ms', ({ cpuMs, alone: count }) => cpuMs / count, 1.25),
    ...compared('time of one renewal, p50', 'ms', ({ times }) => quantile(times, 0.5)),
    ...compared('written for one renewal, alone', 'KiB', ({ written, alone: count }) => written / count / 1024),
    ...compared(`renewals, ${HOSTS} at once`, '/s', (one) => one.together / one.seconds),
  ];
}

async function prepare(size: number, stack: AsyncDisposableStack): Promise<Contestant> {
  process.stderr.write(`  filling a store with ${size.toLocaleString('en')} certificates\n`);
  const ca = stack.use(await ClockCa.make({}, tmpdir()));
  await ca.stop();
  const path = join(ca.directory, 'db/countersign.sqlite');
  await fillAnew(path, size);
  await ca.start();
  const hosts: Host[] = [];
  for (let n = 0; n < HOSTS; n++) {
    const key = makeHostKey();
    hosts.push({ key, certificate: await ca.certify(key, `bench${n}.example.com`) });
  }
  return { size, ca, hosts, times: [], cpuMs: 0, alone: 0, written: 0, together: 0, seconds: 0 };
}

/** A store of its own kind: the CA's first one has an audit log that the filling would run into. */
async function fillAnew(path: string, size: number): Promise<void> {
  for (const name of [path, `${path}-wal`, `${path}-shm`]) await rm(name, { force: true });
  await (await openSqliteStore({ path, role: 'server', create: true })).close();
  fillStore(path, size);
}

/** Each host goes on with what it got. */
async function alone(one: Contestant): Promise<void> {
  for (let n = 0; n < ALONE; n++) {
    const host = one.hosts[one.alone % one.hosts.length];
    if (host === undefined) throw new Error('no hosts');
    const ott = tokenOf(host, one.ca);
    const written = bytesWritten();
    const [started, cpu] = [performance.now(), process.cpuUsage()];
    const answer = await one.ca.post('/ssh/renew', { ott });
    one.times.push(performance.now() - started);
    const { user, system } = process.cpuUsage(cpu);
    one.cpuMs += (user + system) / 1000;
    one.written += bytesWritten() - written;
    one.alone += 1;
    take(host, answer.body);
  }
}

async function together(one: Contestant): Promise<void> {
  for (let wave = 0; wave < WAVES; wave++) {
    const tokens = one.hosts.map((host) => tokenOf(host, one.ca));
    const started = performance.now();
    const answers = await Promise.all(tokens.map(async (ott) => one.ca.post('/ssh/renew', { ott })));
    one.seconds += (performance.now() - started) / 1000;
    one.together += one.hosts.length;
    for (const [index, host] of one.hosts.entries()) take(host, answers[index]?.body ?? {});
  }
}

/** By all threads of this process, to the log and, now and then, from the log to the store. */
function bytesWritten(): number {
  return Number(/^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}

function tokenOf({ key, certificate }: Host, { now }: ClockCa): string {
  return sshpopToken({ key, certificate, operation: 'renew', authority: CA_NAME, now });
}

function take(host: Host, body: Readonly<Record<string, unknown>>): void {
  host.certificate = decodeBase64(String(body['crt']));
}
