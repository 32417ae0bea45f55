/**
 * `npm run check`: types, lint, format and rooms, one line each with the time it took, and what is wrong only where
 * something is. Exit status 1 if anything is.
 */
import { join } from 'node:path';
import { execa } from 'execa';

const root = join(import.meta.dirname, '..');

const checks: readonly { name: string; command: string; args: readonly string[] }[] = [
  { name: 'types', command: 'tsc', args: ['--noEmit'] },
  { name: 'lint', command: 'oxlint', args: ['--deny-warnings'] },
  { name: 'format', command: 'prettier', args: ['--check', '--log-level', 'warn', '.'] },
  { name: 'rooms', command: process.execPath, args: ['build/check-rooms.ts'] },
];

/** @returns the names of the checks that failed */
export async function checkAll(): Promise<string[]> {
  const failures: string[] = [];
  for (const { name, command, args } of checks) {
    const started = performance.now();
    const { failed, all } = await execa(command, args, {
      cwd: root,
      preferLocal: true,
      all: true,
      reject: false,
      stdin: 'ignore',
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`check: ${name.padEnd(6)} ${failed ? 'FAILED' : 'ok'} (${seconds} s)`);
    if (!failed) continue;
    failures.push(name);
    console.log(all.trimEnd());
  }
  return failures;
}

if (import.meta.main) {
  const failures = await checkAll();
  process.exitCode = failures.length > 0 ? 1 : 0;
}
