/**
 * The single executables of dist/, run as on a machine that has no Node: with an empty environment, no PATH, and from a
 * directory with nothing in it. `npm test` builds them first.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { executables } from '#build/executables.ts';
import { version } from '#protocol/version.ts';

const dist = join(import.meta.dirname, '../../dist');
let emptyDirectory: string;

beforeAll(async () => {
  emptyDirectory = await mkdtemp(join(tmpdir(), 'countersign-executable-'));
});

afterAll(() => rm(emptyDirectory, { recursive: true }));

function runExecutable(name: string, args: string[], env: Record<string, string> = {}) {
  const options = { cwd: emptyDirectory, env, extendEnv: false, stdin: 'ignore', reject: false } as const;
  return execa(join(dist, name), args, options);
}

describe.each(executables)('$name', ({ name }) => {
  const run = (args: string[], env = {}) => runExecutable(name, args, env);

  test('prints the version of package.json', async () => {
    const { exitCode, stdout, stderr } = await run(['--version']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain(version);
  });

  test('prints help', async () => {
    const { exitCode, stdout, stderr } = await run(['--help']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain(`Usage: ${name} `);
  });

  test('takes no options for Node from the environment', async () => {
    const { exitCode, stderr } = await run(['--version'], { NODE_OPTIONS: '--require=/nonexistent/file.js' });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  test('takes options that look like those of Node for its own', async () => {
    const { exitCode, stdout } = await run(['--eval', 'console.log("evaluated")']);
    expect(exitCode).toBe(2);
    expect(stdout).not.toContain('evaluated');
  });

  test('needs of the system what Debian always has, and libatomic, which Node wants', async () => {
    const { stdout } = await execa('ldd', [join(dist, name)]);
    const libraries = [...stdout.matchAll(/(\S+?)\.so\.\d/g)].map(([, path = '']) => basename(path));
    const always = ['linux-vdso', 'ld-linux-x86-64', 'ld-linux-aarch64', 'libc', 'libdl', 'libm', 'libpthread'];
    const known = [...always, 'libstdc++', 'libgcc_s', 'libatomic'];
    expect(libraries).toContain('libc');
    expect(libraries.filter((library) => !known.includes(library))).toEqual([]);
  });
});

test('the worker of the CA that writes the store is inside', async () => {
  const [directory, passphrase] = [join(emptyDirectory, 'ca'), join(emptyDirectory, 'passphrase')];
  await writeFile(passphrase, 'correct horse battery staple\n', { mode: 0o600 });
  const options = { dir: directory, name: 'Example', dns: 'ca.example.internal', 'passphrase-file': passphrase };
  const args = Object.entries(options).map(([option, value]) => `--${option}=${value}`);
  const made = await runExecutable('countersign-ca', ['init', ...args]);
  expect({ exitCode: made.exitCode, stderr: made.stderr }).toEqual({ exitCode: 0, stderr: '' });

  const { exitCode, stdout } = await runExecutable('countersign-ca', ['audit', '--dir', directory, '--json']);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('ca-init');
});
