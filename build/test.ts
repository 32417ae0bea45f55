/**
 * `npm test`: sets up what the tests start, makes the executables that they run, checks the sources, runs the tests.
 *
 * Arguments go to vitest (`npm test -- test/unit/openssh -t name`); then only the tests run, and for unit tests alone
 * nothing is set up or built, since they start no program.
 */
import { join } from 'node:path';
import { execa } from 'execa';
import { buildAll } from './build.ts';
import { checkAll } from './check.ts';
import { setUp, SetupError } from './setup.ts';

const root = join(import.meta.dirname, '..');

async function main(args: string[]): Promise<number> {
  const files = args.filter((arg) => !arg.startsWith('-') && arg.includes('/'));
  const unitOnly = files.length > 0 && files.every((file) => /^(\.\/)?test\/unit\//.test(file));
  const path = unitOnly ? process.env['PATH'] : await setUp('test');
  const failures = unitOnly ? [] : await build();
  // What ships is what is tested; without it, at least the sources are.
  const programs = unitOnly || failures.length > 0 ? 'sources' : 'dist';
  if (args.length === 0) failures.push(...(await checkAll()));
  const { exitCode = 1 } = await execa('vitest', ['run', ...args], {
    cwd: root,
    preferLocal: true,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { PATH: path, COUNTERSIGN_PROGRAMS: process.env['COUNTERSIGN_PROGRAMS'] ?? programs },
    reject: false,
  });
  if (exitCode !== 0) failures.push('tests');
  if (failures.length > 0) console.error(`npm test: failed: ${failures.join(', ')}`);
  return failures.length > 0 ? 1 : 0;
}

/** A broken build does not hide what the checks and the other tests have to say. */
async function build(): Promise<string[]> {
  try {
    await buildAll();
    return [];
  } catch (error) {
    console.error(`build: FAILED: ${error instanceof Error ? error.message : String(error)}`);
    return ['build'];
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
