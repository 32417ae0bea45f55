/**
 * The KRL: building it from the store, from nothing and after one more revocation, at 10^3, 10^5 and 10^6 random serials; how long the main
 * thread stands still meanwhile; and ssh-keygen making one of the same serials.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { encodePublicKey, formatPublicKeyLine } from '#openssh/public-key.ts';
import { KrlPublisher } from '#ca-lite/revocation/krl-publisher.ts';
import { openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import { makeHostKey } from '#test/support/sshpop-client.ts';
import type { BenchReport, BenchRow } from './report.ts';

const SIZES = [1000, 100_000, 1_000_000] as const;
const ADDED = 5;
const STANDSTILL_GOAL_MS = 20;
/** Beyond that ssh-keygen takes minutes. */
const MOST_OF_PEER = 100_000;
const IDLE_MS = 1000;

export async function bench(): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  for (const size of SIZES) {
    process.stderr.write(`  ${size.toLocaleString('en')} serials\n`);
    const directory = await mkdtemp(join(tmpdir(), 'countersign-bench-krl-'));
    try {
      rows.push(...(await rowsOf(size, directory)));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  return { title: 'Key revocation lists', rows };
}

async function rowsOf(size: number, directory: string): Promise<BenchRow[]> {
  const path = join(directory, 'store.sqlite');
  await using store = await openSqliteStore({ path, role: 'server', create: true });
  const ca = makeHostKey().publicKey;
  using database = new DatabaseSync(path);
  database.prepare('INSERT INTO krl_cas (id, key) VALUES (1, ?)').run(encodePublicKey(ca));
  revoke(database, size);
  await using publisher = new KrlPublisher(store, path);
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  await sleep(IDLE_MS);
  const idle = loop.max / 1e6;
  loop.reset();
  const anew = await timed(async () => publisher.current());
  let further = 0;
  for (let n = 0; n < ADDED; n++) {
    revoke(database, 1);
    further += (await timed(async () => publisher.current())) / ADDED;
  }
  loop.disable();
  const krl = await publisher.current();
  if (krl.serials !== size + ADDED) throw new Error('the KRL is not complete');
  const peer = size > MOST_OF_PEER ? undefined : await timePeer(database, directory, formatPublicKeyLine(ca));
  const name = size.toLocaleString('en');
  const goal = size === 1_000_000;
  const standstill = loop.max / 1e6;
  const against = (value: number) =>
    peer === undefined ? {} : { against: 'ssh-keygen', ratio: value / peer.milliseconds };
  return [
    ...(peer === undefined ? [] : [{ what: `ssh-keygen -k, ${name} serials`, value: peer.milliseconds, unit: 'ms' }]),
    {
      what: `built from the store, ${name} serials`,
      value: anew,
      unit: 'ms',
      ...against(anew),
      ...(goal && { goal: 'under 2 s', met: anew < 2000 }),
    },
    { what: '  after one more revocation', value: further, unit: 'ms', ...against(further) },
    {
      what: '  longest standstill of the main thread',
      value: standstill,
      unit: 'ms',
      against: 'an idle second before',
      ratio: standstill / idle,
      ...(goal && { goal: 'under 20 ms', met: standstill < STANDSTILL_GOAL_MS }),
    },
    {
      what: '  its size',
      value: krl.bytes.length / 1024,
      unit: 'KiB',
      ...(peer === undefined ? {} : { against: "ssh-keygen's", ratio: krl.bytes.length / peer.bytes }),
    },
  ];
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return performance.now() - started;
}

/** Random serials, as they are issued, by SQL alone. */
function revoke(database: DatabaseSync, count: number): void {
  database.exec(`
    BEGIN;
    WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ${count})
      INSERT INTO revoked_serials (serial, ca_id, reason, revoked_at, revoked_by)
      SELECT randomblob(8), 1, 'bench', 1700000000, 'bench' FROM n;
    UPDATE krl SET number = number + 1, changed_at = 1700000000;
    COMMIT`);
}

/** What ssh-keygen makes of the same serials, from a text file. */
async function timePeer(
  database: DatabaseSync,
  directory: string,
  caLine: string,
): Promise<{ readonly milliseconds: number; readonly bytes: number }> {
  const lines: string[] = [];
  const serials = database.prepare('SELECT serial FROM revoked_serials');
  for (const { serial } of serials.iterate() as Iterable<{ serial: Uint8Array }>)
    lines.push(`serial: ${Buffer.from(serial).readBigUInt64BE()}\n`);
  const [list, ca, krl] = [join(directory, 'list'), join(directory, 'ca.pub'), join(directory, 'krl')];
  await writeFile(list, lines.join(''));
  await writeFile(ca, `${caLine}\n`);
  const milliseconds = await timed(async () => execa('ssh-keygen', ['-k', '-f', krl, '-s', ca, list]));
  return { milliseconds, bytes: (await readFile(krl)).length };
}
