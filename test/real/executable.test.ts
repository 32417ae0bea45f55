/**
 * The single executables of dist/, run as on a machine that has no Node: with an empty environment, no PATH, and from a
 * directory with nothing in it. `npm test` builds them first.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

describe.each(executables)('$name', ({ name }) => {
  const run = (args: string[], env: Record<string, string> = {}) =>
    execa(join(dist, name), args, { cwd: emptyDirectory, env, extendEnv: false, stdin: 'ignore', reject: false });

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
});
