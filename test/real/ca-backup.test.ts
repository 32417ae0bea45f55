/** `countersign-ca backup` and `restore`: a whole CA in one file, made while it serves, and nothing ever overwritten. */
import { copyFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RunningCa, type TestCa, makeCa } from '#test/support/ca.ts';

interface Made {
  readonly file: string;
  readonly rootFingerprint: string;
  readonly skipped: readonly string[];
  readonly audit: { readonly entries: string; readonly head: string };
}

let home: string;
/** Made once, and copied for each test: `init` and its key derivations take their time. */
let original: TestCa;
let pristine: string;

let directory: string;
let ca: TestCa;
let archive: string;
let restored: TestCa;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'countersign-backup-'));
  original = await makeCa({ within: home, quick: true });
  pristine = join(home, 'pristine.tar');
  await original.run('backup', pristine);
});

beforeEach(async () => {
  directory = await mkdtemp(join(home, 'test-'));
  ca = await original.copy(join(directory, 'ca'));
  archive = join(directory, 'ca.tar');
  restored = ca.as({ directory: join(directory, 'restored') });
});

afterAll(async () => rm(home, { recursive: true, force: true }));

test('what is made while the CA serves and writes becomes a CA that serves, with its keys, its rules and its record', async () => {
  let made: Made;
  {
    await using serving = await ca.serve();
    const tokens = Promise.all(Array.from({ length: 6 }, async () => ca.token('--user', 'alice')));
    made = await ca.json<Made>('backup', archive);
    await tokens;
    expect(await rootsOf(serving)).toBe(made.rootFingerprint);
  }
  await restored.run('restore', archive);
  expect(await filesOf(restored.directory)).toEqual(await filesOf(ca.directory));
  await expect(restored.run('audit', '--expect', made.audit.head)).resolves.toContain('The audit log is whole');
  await using serving = await restored.serve();
  expect(await rootsOf(serving)).toBe(made.rootFingerprint);
});

test('the archive is private, and any tar can read it', async () => {
  const { stdout } = await execa('tar', ['-tvf', pristine]);
  expect(stdout).toMatch(/^-rw------- .* secrets\/ssh_host_ca\.key$/m);
  const { stdout: mode } = await execa('stat', ['-c', '%a', pristine]);
  expect(mode).toBe('600');
});

test('backup and restore are on record', async () => {
  await restored.run('restore', pristine);
  const actions = await restored.json<{ action: string }[]>('audit');
  expect(actions.map(({ action }) => action).slice(0, 2)).toEqual(['ca-restore', 'ca-backup']);
});

test('a store that ca.toml puts elsewhere goes back there', async () => {
  const path = join(directory, 'disk', 'countersign.sqlite');
  await mkdir(join(directory, 'disk'));
  await execa('mv', [join(ca.directory, 'db', 'countersign.sqlite'), path]);
  await ca.set({ store: { path } });
  await ca.run('backup', archive);
  const occupied = await restored.attempt('restore', archive);
  expect(occupied).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('never overwrites') as string });
  await rm(path);
  await restored.run('restore', archive);
  await expect(restored.run('audit', '--verify')).resolves.toContain('The audit log is whole');
});

test('what is no file of a CA is left out and named', async () => {
  await writeFile(join(ca.directory, 'ca.toml~'), 'an editor was here');
  const { skipped } = await ca.json<Made>('backup', archive);
  expect(skipped).toEqual(['ca.toml~']);
});

describe('nothing is overwritten or left behind', () => {
  test('by a backup whose file exists', async () => {
    await writeFile(archive, 'mine');
    expect(await ca.attempt('backup', archive)).toMatchObject({ exitCode: 1 });
    expect(await readFile(archive, 'utf8')).toBe('mine');
    expect((await readdir(directory)).toSorted()).toEqual(['ca', 'ca.tar']);
  });

  test('by restoring into a directory with something in it', async () => {
    await mkdir(restored.directory);
    await writeFile(join(restored.directory, 'mine'), '');
    expect(await restored.attempt('restore', pristine)).toMatchObject({ exitCode: 1 });
    expect(await readdir(restored.directory)).toEqual(['mine']);
    expect((await readdir(directory)).toSorted()).toEqual(['ca', 'restored']);
  });
});

describe('refused, with nothing restored', () => {
  const damages: Readonly<Record<string, () => Promise<void>>> = {
    'a file that was cut off': async () => writeFile(archive, (await readFile(archive)).subarray(0, 9000)),
    'a file with a changed byte in a key': async () => {
      const bytes = await readFile(archive);
      const at = bytes.indexOf('BEGIN OPENSSH PRIVATE KEY') + 60;
      bytes[at] = bytes[at] === 0x41 ? 0x42 : 0x41;
      await writeFile(archive, bytes);
    },
    'a file that is no archive': async () => writeFile(archive, 'hello\n'.repeat(2000)),
    'an archive of something else': async () => {
      await execa('tar', ['-cf', archive, '-C', home, 'passphrase']);
    },
    'an archive with a file more': async () => {
      await execa('tar', ['-rf', archive, '-C', home, 'passphrase']);
    },
    'an archive with a way out': async () => {
      const names = ['--transform', 's,^passphrase$,../outside,', '-P', 'passphrase'];
      await execa('tar', ['-rf', archive, '-C', home, ...names, 'passphrase']);
    },
  };

  test.each(Object.entries(damages))('%s', async (_what, damage) => {
    await copyFile(pristine, archive);
    await damage();
    const { exitCode, stderr } = await restored.attempt('restore', archive);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 1 });
    expect(stderr).not.toContain('unforeseen');
    expect((await readdir(directory)).toSorted()).toEqual(['ca', 'ca.tar']);
  });

  test('a file that is not there', async () => {
    const { exitCode, stderr } = await restored.attempt('restore', archive);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('cannot be read');
  });
});

async function rootsOf({ process }: RunningCa): Promise<string> {
  return (JSON.parse(process.stdout()) as { rootFingerprint: string }).rootFingerprint;
}

/** Path and content of everything but the store. */
async function filesOf(root: string): Promise<Record<string, string>> {
  const paths = (await readdir(root, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const kept = paths.map(({ parentPath, name }) => join(parentPath, name)).filter((path) => !path.includes('sqlite'));
  return Object.fromEntries(
    await Promise.all(kept.map(async (path) => [path.slice(root.length), await readFile(path, 'utf8')] as const)),
  );
}
