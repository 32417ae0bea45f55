/** Files that change all or not at all; the kill in the middle is tried with real processes in test/real/host-agent-kill.test.ts. */
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FileChange, applyChanges, readInterrupted, recoverTransaction } from '#agent/host/file-transaction.ts';
import { readTree } from '#test/support/file-tree.ts';

let home: string;
let journalDirectory: string;
let etc: string;
let before: string[];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'countersign-transaction-'));
  [journalDirectory, etc] = [join(home, 'state'), join(home, 'etc')];
  await mkdir(journalDirectory);
  await mkdir(etc);
  await writeFile(join(etc, 'old'), 'as it was');
  await chmod(join(etc, 'old'), 0o640);
  await writeFile(join(etc, 'goes'), 'to be taken away');
  before = await readTree(etc);
});

afterEach(async () => rm(home, { recursive: true }));

function changes(): FileChange[] {
  return [
    { path: join(etc, 'new'), content: 'fresh', mode: 0o600 },
    { path: join(etc, 'deep/down/new'), content: Uint8Array.of(0, 255), mode: 0o644 },
    { path: join(etc, 'old'), content: 'changed', mode: 0o644 },
    { path: join(etc, 'goes'), content: null, mode: 0o644 },
  ];
}

test('a committed change stays, with modes, and leaves nothing beside it', async () => {
  const transaction = await applyChanges(changes(), { journalDirectory });
  await transaction.commit();
  expect(await readFile(join(etc, 'new'), 'utf8')).toBe('fresh');
  expect((await stat(join(etc, 'new'))).mode & 0o777).toBe(0o600);
  expect(await readFile(join(etc, 'old'), 'utf8')).toBe('changed');
  expect((await stat(join(etc, 'old'))).mode & 0o777).toBe(0o640);
  expect((await readTree(etc)).map((line) => line.split(':')[0])).toEqual([
    '.',
    'deep',
    'deep/down',
    'deep/down/new',
    'new',
    'old',
  ]);
  expect(await readTree(journalDirectory)).toHaveLength(1);
});

test('a change that is rolled back leaves no trace, not even another time of change', async () => {
  const transaction = await applyChanges(changes(), { journalDirectory });
  expect(await readTree(etc)).not.toEqual(before);
  await transaction.rollBack();
  expect(await readTree(etc)).toEqual(before);
  expect(await readTree(journalDirectory)).toHaveLength(1);
});

describe('a change that fails', () => {
  const stops = ['previous', 'next', 'rename', 'flush'] as const;

  test.each(stops)('before a step %s goes back by itself', async (stop) => {
    const failing = applyChanges(changes(), {
      journalDirectory,
      onStep: (step, path) => {
        if (step === stop && !path.endsWith('/new')) throw new Error('out of luck');
      },
    });
    await expect(failing).rejects.toThrow('out of luck');
    expect(await readTree(etc)).toEqual(before);
    expect(await readInterrupted(journalDirectory)).toBeUndefined();
  });

  test('because a directory is a file changes nothing', async () => {
    const bad: FileChange = { path: join(etc, 'old/new'), content: 'x', mode: 0o644 };
    await expect(applyChanges([...changes(), bad], { journalDirectory })).rejects.toMatchObject({ code: 'ENOTDIR' });
    expect(await readTree(etc)).toEqual(before);
  });
});

describe('recovery', () => {
  test('goes back from a change that was never committed, with what the caller wanted to know', async () => {
    await applyChanges(changes(), { journalDirectory, context: { sshd: '/usr/sbin/sshd' } });
    const journal = await recoverTransaction(journalDirectory);
    expect(journal?.context).toEqual({ sshd: '/usr/sbin/sshd' });
    expect(await readTree(etc)).toEqual(before);
    expect(await recoverTransaction(journalDirectory)).toBeUndefined();
  });

  test('goes back also after a recovery that was itself interrupted', async () => {
    await applyChanges(changes(), { journalDirectory });
    const journal = await readFile(join(journalDirectory, 'transaction.json'));
    await recoverTransaction(journalDirectory);
    await writeFile(join(journalDirectory, 'transaction.json'), journal); // it had come this far, and its journal was still there
    await recoverTransaction(journalDirectory);
    expect(await readTree(etc)).toEqual(before);
  });

  test('keeps a change that was committed, and cleans up', async () => {
    const transaction = await applyChanges(changes(), {
      journalDirectory,
      onStep: (step) => {
        if (step === 'clean') throw Object.assign(new Error('no'), { code: 'EIO' });
      },
    });
    await transaction.commit();
    const changed = (await readTree(etc)).filter((line) => !line.includes('.old: '));
    expect(await recoverTransaction(journalDirectory)).toBeUndefined();
    expect(await readTree(etc)).toEqual(changed);
    expect(await readTree(journalDirectory)).toHaveLength(1);
  });
});
