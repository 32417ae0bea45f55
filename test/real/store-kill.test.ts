/**
 * What was acknowledged is there, however the process dies: two writers on one store are killed (SIGKILL) at a random
 * moment, again and again, and each time everything they had said is looked for.
 *
 * Set STORE_KILL_SEED to the seed that a failing run printed to have the same moments again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { array, integer, sample } from 'fast-check';
import { expect, test } from 'vitest';
import { verifyStoredAudit } from '#ca-lite/audit/verify-store.ts';
import type { Store } from '#ca-lite/store/store.ts';
import { certificate, note, now, token } from '../contract/store-requests.ts';
import { type SqliteHome, integrityOf, makeSqliteHome } from './store-sqlite-home.ts';

const KILLS = 20;
const seed = Number(process.env['STORE_KILL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const program = fileURLToPath(new URL('./store-writer-program.ts', import.meta.url));

interface Writer {
  readonly child: ChildProcess;
  readonly closed: Promise<unknown>;
  /** What it acknowledged: `I 12`, `R 12`. The last line may be cut short by the kill, and is then not said. */
  said(): readonly string[];
}

test(`keeps what it acknowledged over ${KILLS} kills (STORE_KILL_SEED=${seed})`, { timeout: 900_000 }, async () => {
  process.stderr.write(`STORE_KILL_SEED=${seed}\n`);
  const [delays] = sample(array(integer({ min: 0, max: 150 }), { minLength: KILLS, maxLength: KILLS }), {
    seed,
    numRuns: 1,
  });
  await using home = await makeSqliteHome();
  await (await home.open()).close();
  const everything: string[] = [];
  for (const [round, delay] of (delays ?? []).entries()) {
    const said = await writeAndKill(home, round, delay);
    everything.push(...said);
    await using store = await home.open();
    await expectAcknowledged(store, said);
    await closeUnfinished(store);
    expect(await verifyStoredAudit(store)).toMatchObject({ ok: true, faults: [] });
  }
  expect(everything.filter((line) => line.startsWith('R')).length).toBeGreaterThan(KILLS);
  await using store = await home.open();
  await expectAcknowledged(store, everything);
  const { certificates } = await store.counts();
  expect(certificates.host.intended).toBe(0n);
  expect(certificates.host.issued).toBeGreaterThanOrEqual(everything.filter((line) => line.startsWith('R')).length);
  expect(integrityOf(home.path)).toBe('ok');
});

async function writeAndKill(home: SqliteHome, round: number, delay: number): Promise<string[]> {
  const first = BigInt(round) * 1_000_000n + 1n;
  const [server, command] = await Promise.all([
    startWriter(home.path, 'server', first),
    startWriter(home.path, 'administrator', first + 500_000n),
  ]);
  await sleep(delay);
  for (const { child } of [server, command]) child.kill('SIGKILL');
  await Promise.all([server.closed, command.closed]);
  expect([server.child.signalCode, command.child.signalCode]).toEqual(['SIGKILL', 'SIGKILL']);
  return [...server.said(), ...command.said()];
}

/** Resolves when it has acknowledged something. */
async function startWriter(path: string, role: string, first: bigint): Promise<Writer> {
  const child = spawn(process.execPath, [program, path, role, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await Promise.race([once(child.stdout, 'data'), closed]);
  return { child, closed, said: () => text.split('\n').slice(0, -1) };
}

async function expectAcknowledged(store: Store, said: readonly string[]): Promise<void> {
  for (const line of said) {
    const serial = BigInt(line.slice(2));
    const record = await store.certificate(serial);
    if (line.startsWith('R')) expect(record?.certificate, line).toEqual(certificate(serial));
    else expect(record, line).not.toBeNull();
  }
  const last = said.at(-1);
  if (last === undefined) return;
  const use = { token: token(`token ${last.slice(2)}`), audit: note('token-use') };
  expect(await store.consumeToken(use)).toMatchObject({ refusal: 'token-used' });
}

async function closeUnfinished(store: Store): Promise<void> {
  const { items } = await store.unfinishedIntents(now + 1000n, { limit: 1000 });
  for (const { serial } of items) {
    expect(await store.abandonIntent({ serial, now, audit: note('certificate-abandon', { serial }) })).toMatchObject({
      accepted: true,
    });
  }
}
