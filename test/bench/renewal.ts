/**
 * Renewals: how many a second through the CA's HTTP server (in one process, without TLS, on a durable store), what one costs at 10^4 and at
 * 10^6 stored certificates, and how long a KRL of 10^3, 10^5 and 10^6 serials takes to build from nothing.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { decodeBase64 } from '#openssh/base64.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { KrlBuilder } from '#ca-lite/revocation/krl-builder.ts';
import { openSqliteReader, openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import { CA_NAME, ClockCa } from '#test/simulator/devices/clock-ca.ts';
import { type HostKey, makeHostKey, sshpopToken } from '#test/support/sshpop-client.ts';
import { type BenchReport, type BenchRow, quantile } from './report.ts';
import { fillStore } from './store-filling.ts';

const HOSTS = 200;
const ROUNDS = 5;
const ALONE = 300;
const KRL_SIZES = [1000, 100_000, 1_000_000] as const;
const STORE_SIZES = [10_000, 1_000_000] as const;

interface Host {
  readonly key: HostKey;
  certificate: Uint8Array;
}

export async function bench(): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  const costs: number[] = [];
  for (const size of STORE_SIZES) {
    await using ca = await ClockCa.make({}, tmpdir());
    await ca.stop();
    await fillAnew(join(ca.directory, 'db/countersign.sqlite'), size);
    await ca.start();
    const hosts = await enrol(ca);
    const cost = quantile(await alone(ca, hosts), 0.5);
    costs.push(cost);
    rows.push({
      what: `one renewal at a time, ${size.toLocaleString('en')} certificates stored, p50`,
      value: cost,
      unit: 'ms',
    });
    rows.push({ what: `renewals, ${HOSTS} at once`, value: await together(ca, hosts), unit: '/s' });
  }
  const [small = 1, large = 1] = costs;
  rows.push({
    what: 'cost at 10^6 against 10^4',
    value: large / small,
    unit: 'x',
    goal: 'flat',
    met: large / small < 1.5,
  });
  for (const size of KRL_SIZES) rows.push(...(await krlRows(size)));
  return { title: 'Renewals and revocations', rows };
}

/** A store of its own kind: the CA's first one has an audit log that the filling would run into. */
async function fillAnew(path: string, size: number): Promise<void> {
  for (const name of [path, `${path}-wal`, `${path}-shm`]) await rm(name, { force: true });
  await (await openSqliteStore({ path, role: 'server', create: true })).close();
  fillStore(path, size);
}

async function enrol(ca: ClockCa): Promise<Host[]> {
  const hosts: Host[] = [];
  for (let n = 0; n < HOSTS; n++) {
    const key = makeHostKey();
    hosts.push({ key, certificate: await ca.certify(key, `bench${n}.example.com`) });
  }
  return hosts;
}

/** Milliseconds of each renewal, one after the other: each host goes on with what it got. */
async function alone(ca: ClockCa, hosts: readonly Host[]): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < ALONE; n++) {
    const host = hosts[n % hosts.length];
    if (host === undefined) throw new Error('no hosts');
    const ott = tokenOf(host, ca);
    const started = performance.now();
    const answer = await ca.post('/ssh/renew', { ott });
    times.push(performance.now() - started);
    take(host, answer.body);
  }
  return times;
}

async function together(ca: ClockCa, hosts: readonly Host[]): Promise<number> {
  let seconds = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const tokens = hosts.map((host) => tokenOf(host, ca));
    const started = performance.now();
    const answers = await Promise.all(tokens.map(async (ott) => ca.post('/ssh/renew', { ott })));
    seconds += (performance.now() - started) / 1000;
    for (const [index, host] of hosts.entries()) take(host, answers[index]?.body ?? {});
  }
  return (hosts.length * ROUNDS) / seconds;
}

function tokenOf({ key, certificate }: Host, { now }: ClockCa): string {
  return sshpopToken({ key, certificate, operation: 'renew', authority: CA_NAME, now });
}

function take(host: Host, body: Readonly<Record<string, unknown>>): void {
  host.certificate = decodeBase64(String(body['crt']));
}

async function krlRows(size: number): Promise<BenchRow[]> {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-bench-krl-'));
  try {
    const path = join(directory, 'store.sqlite');
    await (await openSqliteStore({ path, role: 'server', create: true })).close();
    revokeMany(path, size);
    await using store = await openSqliteReader(path);
    const started = performance.now();
    const krl = await new KrlBuilder(store).build();
    const milliseconds = performance.now() - started;
    if (krl.serials !== size) throw new Error('the KRL is not complete');
    const name = size.toLocaleString('en');
    const goal = size === 1_000_000 ? { goal: 'under 2 s', met: milliseconds < 2000 } : {};
    return [
      { what: `KRL of ${name} serials, from the store`, value: milliseconds, unit: 'ms', ...goal },
      { what: `  its size`, value: krl.bytes.length / 1024, unit: 'KiB' },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Random serials, as they are issued, by SQL alone. */
function revokeMany(path: string, size: number): void {
  using database = new DatabaseSync(path);
  const ca = encodePublicKey(publicKeyFromObject(makeHostKey().privateKey));
  database.prepare('INSERT INTO krl_cas (id, key) VALUES (1, ?)').run(ca);
  database.exec(`
    WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ${size})
    INSERT INTO revoked_serials (serial, ca_id, reason, revoked_at, revoked_by)
      SELECT randomblob(8), 1, 'bench', 1700000000, 'bench' FROM n;
    UPDATE krl SET number = 1, changed_at = 1700000000;
  `);
}
