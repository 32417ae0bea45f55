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
const MEASURE_MS = 4000;
const WARM_UP_MS = 500;
const LOOKUPS = 3000;
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
    const flushes = flushesPerSecond(directory);
    rows.push({ what: `flushes of 4 KiB appended, before ${callers} callers`, value: flushes, unit: '/s' });
    const issuances = await perSecond(callers, () => issue(store));
    const against = 'flushes/s; each issuance waits for two';
    const ratio = issuances / flushes;
    rows.push({ what: `issuances, ${callers} callers`, value: issuances, unit: '/s', against, ratio });
    const intents = await perSecond(callers, () => intend(store));
    const what = `issuances without the second step, ${callers} callers`;
    rows.push({ what, value: intents, unit: '/s', against: 'issuances/s', ratio: intents / issuances });
  }
  return rows;
}

async function sizeRows(directory: string, sizes: readonly number[]): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  const smallest = new Map<string, number>();
  for (const size of sizes) {
    for (const { what, value, unit } of await measureSize(join(directory, `size-${size}`), size)) {
      const least = smallest.get(what) ?? value;
      smallest.set(what, least);
      const label = `${what}, ${size.toLocaleString('en')} certificates`;
      const against = `at ${(sizes[0] ?? 0).toLocaleString('en')}`;
      rows.push({ what: label, value, unit, ...(size === sizes[0] ? {} : { against, ratio: value / least }) });
    }
  }
  return rows;
}

async function measureSize(path: string, size: number): Promise<BenchRow[]> {
  await (await openSqliteStore({ path, role: 'server', create: true })).close();
  fillStore(path, size);
  const bytes = statSync(path).size / size;
  const known = knownOf(path, LOOKUPS);
  await using store = await openSqliteStore({ path, role: 'server' });
  const page = { limit: 10 };
  const lookups = {
    'lookup by serial, p50': (one: Known) => store.certificate(one.serial),
    'newest by key, p50': (one: Known) => store.certificates({ keyFingerprint: one.keyFingerprint }, page),
    'newest by host name, p50': (one: Known) => store.certificates({ principal: one.keyId }, page),
    'host by name, p50': (one: Known) => store.hosts({ name: one.keyId }, page),
  };
  const rows: BenchRow[] = [{ what: 'file', value: bytes, unit: 'bytes/certificate' }];
  for (const [what, lookup] of Object.entries(lookups)) {
    rows.push({ what, value: quantile(await microseconds(known, lookup), 0.5), unit: 'us' });
  }
  let next = 0;
  const renewals = await perSecond(RENEWALS_AT_ONCE, async () => {
    const one = known[next++ % known.length];
    if (one !== undefined) await renew(store, one);
  });
  rows.push({
    what: `renewal (lookup, intent, result), ${RENEWALS_AT_ONCE} callers`,
    value: 1e6 / renewals,
    unit: 'us each',
  });
  return rows;
}

async function microseconds(known: readonly Known[], lookup: (one: Known) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (const one of known) {
    const start = performance.now();
    await lookup(one);
    times.push((performance.now() - start) * 1000);
  }
  return times;
}

/** How often `action` completes per second when so many callers repeat it. */
async function perSecond(callers: number, action: () => Promise<unknown>): Promise<number> {
  const repeat = async (milliseconds: number): Promise<number> => {
    const start = performance.now();
    let done = 0;
    const caller = async () => {
      while (performance.now() - start < milliseconds) {
        await action();
        done += 1;
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    return (done * 1000) / (performance.now() - start);
  };
  await repeat(WARM_UP_MS);
  return repeat(MEASURE_MS);
}

/** What the disk can do: blocks of 4 KiB appended to a file, each flushed. */
function flushesPerSecond(directory: string): number {
  const descriptor = openSync(join(directory, 'flushes'), 'w');
  try {
    const block = Buffer.alloc(4096);
    const start = performance.now();
    let done = 0;
    for (; performance.now() - start < 1000; done += 1) {
      writeSync(descriptor, block, 0, block.length, done * block.length);
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
