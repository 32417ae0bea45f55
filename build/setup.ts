/**
 * Sees to the programs that the demo and the tests start. What is missing is installed with apt-get where this may be
 * done without asking (as root, or with a sudo that wants no password); elsewhere the command to type is printed.
 *
 * Refuses on purpose: to start or enable a service that a package brings.
 */
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { administratorPath, installCommand, missingFor, type Purpose } from './debian-packages.ts';

/** A program is missing and cannot be installed here. The message says which, and what to do. */
export class SetupError extends Error {
  readonly code = 'program-missing';
}

/** sshd, run as root, wants this directory; where its service never ran nobody has made it. */
const sshdDirectory = '/run/sshd';

/**
 * @returns the PATH with which the demo and the tests find every program
 * @throws SetupError
 */
export async function setUp(purpose: Purpose): Promise<string> {
  const path = [...(process.env['PATH'] ?? '').split(delimiter), ...administratorPath];
  const isThere = (program: string) => path.some((directory) => isExecutable(join(directory, program)));
  const { programs, packages } = missingFor(purpose, isThere);
  if (packages.length > 0) await install(programs, packages);
  const still = missingFor(purpose, isThere);
  if (still.programs.length > 0) throw new SetupError(`apt-get installed no ${still.programs.join(', ')}`);
  if (process.getuid?.() === 0 && !existsSync(sshdDirectory)) mkdirSync(sshdDirectory, { mode: 0o755 });
  return path.join(delimiter);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function install(programs: string[], packages: string[]): Promise<void> {
  const asRoot = await commandAsRoot();
  if (!asRoot) {
    throw new SetupError(
      `Not installed: ${programs.join(', ')}. On Debian or Ubuntu run this, then try again:\n` +
        `  sudo apt-get update && ${installCommand(packages)}`,
    );
  }
  console.log(`setup: not installed: ${programs.join(', ')}; installing with apt-get: ${packages.join(' ')}`);
  const [command, ...args] = [...asRoot, 'sh', join(import.meta.dirname, 'install-debian-packages.sh'), ...packages];
  const { failed, all } = await execa(command as string, args, { all: true, stdin: 'ignore', reject: false });
  if (failed) throw new SetupError(`${all.trim()}\napt-get failed. Run it by hand:\n  ${installCommand(packages)}`);
  console.log(`setup: installed ${packages.join(' ')}; no service was started or enabled`);
}

/** What goes before a command to run it as root without asking; null where that cannot be done, or without apt-get. */
async function commandAsRoot(): Promise<string[] | null> {
  if (!existsSync('/usr/bin/apt-get')) return null;
  if (process.getuid?.() === 0) return [];
  const { failed } = await execa('sudo', ['-n', 'true'], { reject: false, stdin: 'ignore' });
  return failed ? null : ['sudo', '-n'];
}
