/**
 * Sets up the judge of the simulator: the vendor's own `yubihsm-shell`, from Debian 13, in a small chroot.
 *
 * The shell of Debian 13 needs a newer C library than many development machines have, so `debootstrap` unpacks a minimal
 * Debian 13 with the packages `yubihsm-shell` (the command), `yubihsm-wrap` (makes wrapped objects off-line),
 * `yubihsm-pkcs11` (the vendor's PKCS#11 module), `python3` (calls the vendor's library where the shell cannot) and
 * `libatomic1` (Node needs it, to load the module there) into a cache directory that is in no repository. It needs root,
 * the package `debootstrap`, and the Debian mirror; the first run takes about a minute, later ones nothing. Test files that
 * want it at the same time wait for each other (`flock`).
 *
 * By hand: node test/yubihsm-simulator/judge-chroot.ts        prints the directory
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';

const packages = ['yubihsm-shell', 'yubihsm-wrap', 'yubihsm-pkcs11', 'python3', 'libatomic1'];
const contents = `${packages.join(' ')}\n`;
const directory = join(import.meta.dirname, '../../node_modules/.cache/countersign/judge-trixie');
const doneMark = '.judge-ready';
/** The argument of the process that has the lock. */
const LOCKED = '--locked';

/** What a test that waits for {@link prepareJudge} is to allow: the first time, on two cores that have much else to do. */
export const judgePreparationMs = 600_000;

/** Makes the chroot unless it is there already, and returns its directory. The kernel ends the lock of a process that is killed. */
export async function prepareJudge(): Promise<string> {
  if (isReady()) return directory;
  mkdirSync(dirname(directory), { recursive: true });
  await execa('flock', [`${directory}.lock`, process.execPath, import.meta.filename, LOCKED], { stdin: 'ignore' });
  return directory;
}

function isReady(): boolean {
  const mark = join(directory, doneMark);
  return existsSync(mark) && readFileSync(mark, 'utf8') === contents;
}

/** A half-made one of an interrupted run is thrown away and made anew: the directory gets its name only when it is complete. */
async function makeJudge(): Promise<void> {
  if (isReady()) return;
  const partial = `${directory}.partial`;
  rmSync(partial, { recursive: true, force: true });
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  await debootstrap(partial);
  writeFileSync(join(partial, doneMark), contents);
  renameSync(partial, directory);
}

async function debootstrap(target: string): Promise<void> {
  await execa(
    'debootstrap',
    [
      '--variant=minbase',
      '--keyring=/usr/share/keyrings/debian-archive-keyring.gpg',
      `--include=${packages.join(',')}`,
      'trixie',
      target,
      'http://deb.debian.org/debian',
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
}

/** One run of a program of the chroot. */
export interface JudgeRun {
  exitCode: number | undefined;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program inside the chroot. `cwd` is a path as the chroot sees it; standard input is given as text or is empty.
 */
export async function runInJudge(
  directory: string,
  command: readonly [string, ...string[]],
  options: { input?: string; cwd?: string; env?: Record<string, string>; timeoutMs?: number } = {},
): Promise<JudgeRun> {
  const cwd = options.cwd ?? '/root';
  const result = await execa('chroot', [directory, '/usr/bin/env', '-C', cwd, ...command], {
    input: options.input ?? '',
    reject: false,
    timeout: options.timeoutMs ?? 60_000,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C.UTF-8', ...options.env },
    extendEnv: false,
  });
  return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
}

if (import.meta.main) {
  if (process.argv[2] === LOCKED) await makeJudge();
  else process.stdout.write(`${await prepareJudge()}\n`);
}
