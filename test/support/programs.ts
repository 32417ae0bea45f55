/**
 * Which programs the tests start: the sources under this Node, or the single executables of dist/. `COUNTERSIGN_PROGRAMS`
 * says `sources` or `dist`; `npm test` builds first and says `dist`, a bare `vitest run` means the sources.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export type ProgramKind = 'sources' | 'dist';
/** The start of a command line; arguments follow. */
export type Program = readonly [file: string, ...args: string[]];

const root = join(import.meta.dirname, '../..');

export const programKind: ProgramKind = readKind(process.env['COUNTERSIGN_PROGRAMS'] ?? 'sources');

/** For tests that run with each of them: the sources always, the executables where `npm test` has made them. */
export const programKinds: readonly ProgramKind[] = programKind === 'dist' ? ['sources', 'dist'] : ['sources'];

export function caProgram(kind: ProgramKind = programKind): Program {
  return programOf(kind, 'countersign-ca', 'ca-lite/main.ts');
}

export function agentProgram(kind: ProgramKind = programKind): Program {
  return programOf(kind, 'countersign', 'agent/main.ts');
}

function programOf(kind: ProgramKind, name: string, entry: string): Program {
  if (kind === 'sources') return [process.execPath, join(root, entry)];
  const executable = join(root, 'dist', name);
  if (!existsSync(executable)) throw new Error(`${executable} is not there: run npm run build`);
  return [executable];
}

function readKind(text: string): ProgramKind {
  if (text === 'sources' || text === 'dist') return text;
  throw new Error('COUNTERSIGN_PROGRAMS must be "sources" or "dist"');
}
