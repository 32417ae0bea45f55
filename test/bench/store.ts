/**
 * What the embedded store costs: durable issuances per second, of two steps each, against the flushes per second of the same disk in the
 * same run; and whether lookups and renewals cost the same in a small store and in a large one.
 *
 *   node test/bench/store.ts [CERTIFICATES ...]     sizes to compare, by default 10000 and 1000000
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, statSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import type { Store } from '#ca-lite/store/store.ts';
import { type BenchReport, type BenchRow, printReport, quantile } from './report.ts';
import { type Known, fillStore, hostName, knownOf } from './store-filling.ts';

const callerCounts = [1, 16, 64];
const ROUNDS = 7;
const SLICE_MS = 700;
const LOOKUPS = 500;
const LOG_BLOCKS = 4096;
/** Certificates that lookups and renewals pick from. */
const KNOWN = 20_000;
const RENEWALS_AT_ONCE = 16;
const now = 1_800_000_000n;

export async function bench(sizes: readonly number[] = [10_000, 1_000_000]): Promise<BenchReport> {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-bench-store-'));
  try {
    const rows = [...(await issuanceRows(directory)), ...(await sizeRows(directory, sizes))];
    return { title: 'The store (SQLite): every reply after its flush', rows };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function issuanceRows(directory: string): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  await using store = await openSqliteStore({ path: join(directory, 'issuance'), role: 'server', create: true });
  for (const callers of callerCounts) {
    const [flushes = 0, issuances = 0, intents = 0] = await inTurns([
      () => flushesPerSecond(directory),
      () => perSecond(callers, () => issue(store)),
      () => perSecond(callers, () => intend(store)),
    ]);
    const label = `${callers} callers`;
    rows.push({ what: `flushes of 4 KiB alone, in turns with ${label}`, value: flushes, unit: '/s' });
    const against = 'flushes/s; each issuance waits for two';
    rows.push({ what: `issuances, ${label}`, value: issuances, unit: '/s', against, ratio: issuances / flushes });
    const ratio = intents / issuances;
    rows.push({ what: `first steps alone, ${label}`, value: intents, unit: '/s', against: 'issuances/s', ratio });
  }
  return rows;
}

async function sizeRows(directory: string, sizes: readonly number[]): Promise<BenchRow[]> {
  await using stack = new AsyncDisposableStack();
  const filled: Filled[] = [];
  for (const size of sizes) filled.push(await openFilled(join(directory, `size-${size}`), size, stack));
  const rows: BenchRow[] = [];
  for (const { what, unit, measure } of measures) {
    const values = await inTurns(filled.map((one) => () => measure(one)));
    for (const [index, value] of values.entries()) {
      const label = `${what}, ${(sizes[index] ?? 0).toLocaleString('en')} certificates`;
      const against = `at ${(sizes[0] ?? 0).toLocaleString('en')}`;
      rows.push({ what: label, value, unit, ...(index === 0 ? {} : { against, ratio: value / (values[0] ?? 0) }) });
    }
  }
  return rows;
}

/** A store of a certain size, and some of its certificates. */
interface Filled {
  readonly store: Store;
  readonly known: readonly Known[];
  readonly bytesPerCertificate: number;
}

async function openFilled(path: string, size: number, stack: AsyncDisposableStack): Promise<Filled> {
  await (await openSqliteStore({ path, role: 'server', create: true })).close();
  fillStore(path, size);
  const store = stack.use(await openSqliteStore({ path, role: 'server' }));
  return { store, known: knownOf(path, KNOWN), bytesPerCertificate: statSync(path).size / size };
}

interface Measure {
  readonly what: string;
  readonly unit: string;
  readonly measure: (filled: Filled) => Promise<number>;
}

const page = { limit: 10 };
const measures: readonly Measure[] = [
  { what: 'file', unit: 'bytes/certificate', measure: async ({ bytesPerCertificate }) => bytesPerCertificate },
  lookup('by serial', (store, { serial }) => store.certificate(serial)),
  lookup('newest ten by key', (store, { keyFingerprint }) => store.certificates({ keyFingerprint }, page)),
  lookup('newest ten by host name', (store, { keyId }) => store.certificates({ principal: keyId }, page)),
  lookup('host by name', (store, { keyId }) => store.hosts({ name: keyId }, page)),
  {
    what: `renewal (lookup, intent, result), ${RENEWALS_AT_ONCE} callers`,
    unit: 'us each',
    measure: async ({ store, known }) => 1e6 / (await perSecond(RENEWALS_AT_ONCE, () => renew(store, pick(known)))),
  },
];

function lookup(what: string, look: (store: Store, one: Known) => Promise<unknown>): Measure {
  const measure = async ({ store, known }: Filled) => {
    const times: number[] = [];
    for (let n = 0; n < LOOKUPS; n += 1) {
      const one = pick(known);
      const start = performance.now();
      await look(store, one);
      times.push((performance.now() - start) * 1000);
    }
    return quantile(times, 0.5);
  };
  return { what: `lookup ${what}, p50`, unit: 'us', measure };
}

function pick(known: readonly Known[]): Known {
  const one = known[Math.floor(Math.random() * known.length)];
  if (one === undefined) throw new Error('the store is empty');
  return one;
}

/** The median of each measure over rounds in which they take turns, so that what else the machine does falls on all alike. */
async function inTurns(tasks: readonly (() => number | Promise<number>)[]): Promise<number[]> {
  const values: number[][] = tasks.map(() => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, task] of tasks.entries()) values[index]?.push(await task());
  }
  return values.map((ofTask) => quantile(ofTask, 0.5));
}

/** How often `action` completes per second when so many callers repeat it. */
async function perSecond(callers: number, action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  let done = 0;
  const caller = async () => {
    while (performance.now() - start < SLICE_MS) {
      await action();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return (done * 1000) / (performance.now() - start);
}

/** What the disk can do: blocks of 4 KiB, each flushed, written over a file that has its room already, as the store's log has. */
function flushesPerSecond(directory: string): number {
  const descriptor = openSync(join(directory, 'flushes'), 'w');
  try {
    const block = Buffer.alloc(4096);
    for (let n = 0; n < LOG_BLOCKS; n += 1) writeSync(descriptor, block, 0, block.length, n * block.length);
    fdatasyncSync(descriptor);
    const start = performance.now();
    let done = 0;
    for (; performance.now() - start < SLICE_MS; done += 1) {
      writeSync(descriptor, block, 0, block.length, (done % LOG_BLOCKS) * block.length);
      fdatasyncSync(descriptor);
    }
    return (done * 1000) / (performance.now() - start);
  } finally {
    closeSync(descriptor);
  }
}

async function renew(store: Store, { serial, keyFingerprint, keyId }: Known): Promise<void> {
  const current = await store.certificate(serial);
  if (current === null) throw new Error('a certificate is missing');
  await finish(store, await intend(store, keyFingerprint, keyId));
}

async function issue(store: Store): Promise<void> {
  await finish(store, await intend(store));
}

interface Intended {
  readonly serial: bigint;
  readonly signedBytes: Buffer;
  readonly keyId: string;
}

async function intend(
  store: Store,
  keyFingerprint = `SHA256:${randomBytes(32).toString('base64').slice(0, 43)}`,
  keyId = hostName(Math.floor(Math.random() * 10_000)),
): Promise<Intended> {
  const serial = randomBytes(8).readBigUInt64BE() | 1n;
  const signedBytes = randomBytes(400);
  const { accepted } = await store.recordIntent({
    serial,
    type: 'host',
    signedBytes,
    keyFingerprint,
    keyId,
    principals: [keyId, '192.0.2.7'],
    validAfter: now,
    validBefore: now + 86_400n,
    lineage: null,
    predecessor: null,
    provisioner: 'hosts',
    requester: '192.0.2.7',
    now,
    token: { id: randomBytes(16).toString('hex'), expiresAt: now + 300n, recorded: false },
    host: null,
    audit: noteOf('certificate-intend', serial, keyId),
  });
  if (!accepted) throw new Error('an intent was refused');
  return { serial, signedBytes, keyId };
}

async function finish(store: Store, { serial, signedBytes, keyId }: Intended): Promise<void> {
  const certificate = Buffer.concat([signedBytes, randomBytes(83)]);
  const audit = noteOf('certificate-issue', serial, keyId);
  const { accepted } = await store.recordResult({ serial, certificate, now, audit });
  if (!accepted) throw new Error('a result was refused');
}

function noteOf(action: string, serial: bigint, name: string) {
  const subject = { type: 'host', serial, name, provisioner: 'hosts', requester: '192.0.2.7' } as const;
  return { time: now, action, subject, details: { principals: [name, '192.0.2.7'], validBefore: '1800086400' } };
}

if (import.meta.main) {
  const sizes = process.argv.slice(2).map(Number);
  printReport(await (sizes.length === 0 ? bench() : bench(sizes)));
}
