/** How executables are made, seen on a small program with a part and a worker thread. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { endianness, tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleProgram, OpenBundleError } from '#build/bundle.ts';
import { buildExecutable } from '#build/executable.ts';

const plan = {
  name: 'program',
  entry: 'test/real/build-executable/program.ts',
  workers: { 'sqlite-worker': 'test/real/build-executable/worker.ts' },
};
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'countersign-build-test-'));
});

afterAll(() => rm(directory, { recursive: true }));

test('is made once, comes out equal when made again, and runs its part and its worker', async () => {
  const first = await buildExecutable(plan, directory);
  const firstBytes = await readFile(first.path);
  expect(first).toMatchObject({ rebuilt: true, bytes: firstBytes.length });

  expect(await buildExecutable(plan, directory)).toEqual({ ...first, rebuilt: false });
  expect(await buildExecutable(plan, directory, { force: true })).toEqual(first);
  expect(firstBytes.equals(await readFile(first.path))).toBe(true);

  const { stdout, stderr } = await execa(first.path, ['hello'], { cwd: directory, env: {}, extendEnv: false });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({ answer: { greeting: 'hello', count: 2 }, endianness: endianness() });
});

test('what is imported later is a part of its own', async () => {
  const { main, parts } = await bundleProgram(plan.entry);
  expect(Object.keys(parts)).toEqual([expect.stringMatching(/^\.\/answer-\w+\.js$/)]);
  expect(main).not.toContain('endianness');
});

test('what would be looked for at run time is refused', async () => {
  const entry = join(directory, 'open.ts');
  await writeFile(entry, `try { await import('no-such-package'); } catch {}`);
  await expect(bundleProgram(entry)).rejects.toThrow(OpenBundleError);
});

test('a package that CommonJS only tries is missing also where it lies beside the executable', async () => {
  const entry = join(directory, 'optional.cjs');
  await writeFile(entry, `try { console.log(require('no-such-package')); } catch (error) { console.log(error.code); }`);
  const file = join(directory, 'optional.mjs');
  await writeFile(file, (await bundleProgram(entry)).main);
  await mkdir(join(directory, 'node_modules', 'no-such-package'), { recursive: true });
  await writeFile(join(directory, 'node_modules', 'no-such-package', 'index.js'), `module.exports = 'loaded';`);
  const { stdout } = await execa(process.execPath, [file], { cwd: directory });
  expect(stdout).toBe('MODULE_NOT_FOUND');
});
