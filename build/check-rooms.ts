/** Reads the source tree and has `rooms.ts` judge it. Does I/O; `node build/check-rooms.ts` prints what it finds. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { arrows, checkRooms, type Manifest, type Violation } from './rooms.ts';
import { readFacts, type SourceFile } from './source-facts.ts';

/** The root of the package. */
const root = join(import.meta.dirname, '..');

/** Every source file of the rooms and of the root. */
export function readSourceTree(): SourceFile[] {
  const rooms = Object.keys(arrows).join(',');
  const paths = globSync([`{${rooms}}/**/*.{ts,tsx,mts,cts,js,mjs,cjs}`, '*.{ts,mts,js,mjs}'], { cwd: root });
  return paths.toSorted().map((path) => ({ path, source: readFileSync(join(root, path), 'utf8') }));
}

/** @throws UnreadableSourceError if a file is no TypeScript */
export function checkSourceTree(): Violation[] {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
  return checkRooms(readSourceTree().map(readFacts), manifest);
}

export function formatViolation({ path, line, rule, message }: Violation): string {
  return `${path}:${line}: ${rule}: ${message}`;
}

if (import.meta.main) {
  const violations = checkSourceTree();
  for (const violation of violations) console.error(formatViolation(violation));
  process.exitCode = violations.length > 0 ? 1 : 0;
}
