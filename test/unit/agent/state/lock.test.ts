import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquireLock } from '#agent/state/lock.ts';

let home: string;
let path: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'countersign-lock-'));
  path = join(home, 'lock');
});

afterEach(async () => rm(home, { recursive: true }));

test('is held by one at a time, and leaves nothing behind', async () => {
  {
    await using _lock = await acquireLock(path);
    expect(await readFile(path, 'utf8')).toMatch(new RegExp(`^${process.pid} `));
    await expect(acquireLock(path)).rejects.toMatchObject({ name: 'StateError', code: 'busy' });
  }
  await using _again = await acquireLock(path);
  expect(await readdir(home)).toEqual(['lock']);
});

test.each(['999999999 1 x\n', '0\n', 'nonsense', '', `${process.pid} 1 of-another-boot\n`])(
  'is taken over from a holder that is gone: %j',
  async (content) => {
    await writeFile(path, content);
    await using _lock = await acquireLock(path);
    expect(await readFile(path, 'utf8')).toMatch(new RegExp(`^${process.pid} \\d+ `));
  },
);

test('goes to exactly one of many who find it stale', async () => {
  await writeFile(path, '999999999\n');
  const results = await Promise.allSettled(Array.from({ length: 20 }, async () => acquireLock(path)));
  const holders = results.filter(({ status }) => status === 'fulfilled');
  expect(holders).toHaveLength(1);
  expect(await readdir(home)).toEqual(['lock']);
});
