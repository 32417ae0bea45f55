/**
 * Fills the disk of a store, frees it again, and says on stdout, as one line of JSON, what the store did meanwhile.
 * Run in a mount namespace of its own, so that what it mounts is gone with it.
 *
 *   node store-full-disk-program.ts DIRECTORY
 */
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyStoredAudit } from '#ca-lite/audit/verify-store.ts';
import { StoreError } from '#ca-lite/store/errors.ts';
import { openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import { intent, result, token } from '../contract/store-requests.ts';

const [directory] = process.argv.slice(2);
if (directory === undefined) process.exit(2);

execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'store-test', directory]);
const path = join(directory, 'store.sqlite');
const filler = join(directory, 'filler');
const codes = new Set<string>();
const acknowledged: bigint[] = [];

async function issue(serial: bigint): Promise<void> {
  try {
    await store.recordIntent(intent(serial, { token: token(`token ${serial}`) }));
    await store.recordResult(result(serial));
    acknowledged.push(serial);
  } catch (error) {
    codes.add(error instanceof StoreError ? error.code : String(error));
  }
}

/** Issues four at a time until all four fail; the first serial that was not tried. */
async function issueUntilFull(first: bigint): Promise<bigint> {
  for (let serial = first; ; serial += 4n) {
    const before = acknowledged.length;
    await Promise.all([0n, 1n, 2n, 3n].map((offset) => issue(serial + offset)));
    if (acknowledged.length === before) return serial + 4n;
  }
}

const store = await openSqliteStore({ path, role: 'server', create: true });
writeFileSync(filler, Buffer.alloc(1024 * 1024));
const next = await issueUntilFull(1n);
const whileFull = {
  codes: [...codes],
  acknowledged: acknowledged.length,
  readable: (await store.certificate(1n))?.state,
};
const backup = await store.backup(join(directory, 'backup')).catch((error: StoreError) => error.code);
rmSync(filler);
codes.clear();
await issue(next);
await issue(next + 1n);
const afterwards = { codes: [...codes], acknowledged: acknowledged.length };
const again = await issueUntilFull(next + 2n);
await store.close();

await using reopened = await openSqliteStore({ path, role: 'administrator' });
const states = await Promise.all(acknowledged.map(async (serial) => (await reopened.certificate(serial))?.state));
const lost = acknowledged.filter((_, index) => states[index] !== 'issued').map(String);
const { ok } = await verifyStoredAudit(reopened);
process.stdout.write(`${JSON.stringify({ whileFull, backup, afterwards, again: again > next, lost, chain: ok })}\n`);
