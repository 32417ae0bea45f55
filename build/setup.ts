/**
 * Sees to the programs that the demo and the tests start: what is missing is installed, or named with the command to
 * type, by `install-debian-packages.sh`.
 */
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import manifest from '../package.json' with { type: 'json' };
import { administratorPath, missingFor, type Purpose } from './debian-packages.ts';

/** A program is missing and was not installed. Why, and what to do, was printed unless the message says it. */
export class SetupError extends Error {
  readonly code = 'program-missing';
}

const root = join(import.meta.dirname, '..');

/** sshd, run as root, wants this directory; where its service never ran nobody has made it. */
const sshdDirectory = '/run/sshd';

/**
 * @returns the PATH with which the demo and the tests find every program
 * @throws SetupError
 */
export async function setUp(purpose: Purpose): Promise<string> {
  const path = [...(process.env['PATH'] ?? '').split(delimiter), ...administratorPath];
  const isThere = (program: string) => path.some((directory) => isUsable(join(directory, program)));
  const missing = missingFor(purpose, isThere);
  if (missing.packages.length > 0) {
    console.log(`setup: not installed: ${missing.programs.join(', ')}`);
    await install(missing.packages);
  }
  const still = missingFor(purpose, isThere).programs;
  if (still.length > 0) throw new SetupError(`The packages are installed, but not found: ${still.join(', ')}`);
  if (purpose === 'test') await buildAddOns();
  if (process.getuid?.() === 0 && !existsSync(sshdDirectory)) mkdirSync(sshdDirectory, { mode: 0o755 });
  return path.join(delimiter);
}

/** `npm ci` leaves an optional add-on out where there was no compiler yet, and never runs the install script of `keytar`. */
async function buildAddOns(): Promise<void> {
  const modules = join(root, 'node_modules');
  const { pkcs11js } = manifest.optionalDependencies;
  await buildAddOn('pkcs11js', join(modules, 'pkcs11js', 'build', 'Release', 'pkcs11.node'), {
    command: ['install', '--no-save', '--ignore-scripts=false', `pkcs11js@${pkcs11js}`],
    cwd: root,
  });
  const keytar = join(modules, 'keytar');
  await buildAddOn('keytar', join(keytar, 'build', 'Release', 'keytar.node'), {
    command: ['run', 'build'],
    cwd: keytar,
  });
}

async function buildAddOn(
  name: string,
  addOn: string,
  { command, cwd }: { readonly command: readonly string[]; readonly cwd: string },
): Promise<void> {
  if (existsSync(addOn)) return;
  console.log(`setup: compiling the add-on of ${name}`);
  const { failed } = await execa('npm', command, { cwd, stdio: ['ignore', 'inherit', 'inherit'], reject: false });
  if (failed || !existsSync(addOn))
    throw new SetupError(`The add-on of ${name} cannot be compiled. See what npm printed.`);
}

/** Headers are read, programs run. */
function isUsable(file: string): boolean {
  try {
    accessSync(file, file.endsWith('.h') ? constants.R_OK : constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function install(packages: string[]): Promise<void> {
  const script = join(import.meta.dirname, 'install-debian-packages.sh');
  const { failed } = await execa('sh', [script, ...packages], {
    stdio: ['ignore', 'inherit', 'inherit'],
    reject: false,
  });
  if (failed) throw new SetupError('Set-up failed: programs are missing.');
}
