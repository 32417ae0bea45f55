import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { siblingPath } from '#agent/state/durable-file.ts';
import { removeLeftovers } from '#agent/state/leftovers.ts';
import { acquireLock } from '#agent/state/lock.ts';

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'countersign-leftovers-'));
});

afterEach(async () => rm(home, { recursive: true }));

test('half-written files go, everything else stays', async () => {
  const kept = ['.host.json.0123456789ab.old', '.new', 'host.json', 'x.0123456789ab.new'];
  for (const name of kept) await writeFile(join(home, name), '');
  for (const name of ['host.json', 'transaction.json']) await writeFile(siblingPath(join(home, name), 'new'), 'half');
  await removeLeftovers([home, join(home, 'missing')]);
  expect((await readdir(home)).toSorted()).toEqual(kept);
});

test('the taker of a lock removes what killed takers left, and nothing of a running one', async () => {
  const path = join(home, 'lock');
  const [dead, writing, running] = [siblingPath(path, 'pid'), siblingPath(path, 'pid'), siblingPath(path, 'pid')];
  await writeFile(dead, '999999999 1 x\n');
  await writeFile(writing, '');
  {
    await using _holder = await acquireLock(path);
    await writeFile(running, await readFile(path));
  }
  {
    await using _lock = await acquireLock(path);
  }
  expect((await readdir(home)).map((name) => join(home, name)).toSorted()).toEqual([writing, running].toSorted());
});
