/**
 * The sshd program of this machine: found, asked for its effective configuration (`sshd -T`), and made to check a configuration
 * (`sshd -t`). Runs it without a shell, with a bound on time and output.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, realpath } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { printable } from '../ca/foreign-text.ts';
import { systemErrorCode } from '../failure.ts';
import { HostError } from './host-error.ts';
import { type SshdSettings, parseSshdSettings } from './sshd-settings.ts';

const TIMEOUT_MS = 20_000;
const MAX_OUTPUT_BYTES = 1024 * 1024;

const usualPrograms = [
  '/usr/sbin/sshd',
  '/usr/local/sbin/sshd',
  '/sbin/sshd',
  '/usr/bin/sshd',
  '/run/current-system/sw/bin/sshd',
  '/opt/homebrew/sbin/sshd',
];
/** Where sshd looks without `-f`; the second is the vendor's file where /etc has none (openSUSE). */
const usualConfigs = ['/etc/ssh/sshd_config', '/usr/etc/ssh/sshd_config'];

/** Connection parameters for `Match` blocks: some releases refuse `sshd -T` without them when there is one. */
const matchParameters = ['-C', 'user=root,host=localhost,addr=127.0.0.1'];

export interface SshdPlaces {
  /** Value of `--sshd`. */
  readonly sshd?: string | undefined;
  /** Value of `--sshd-config`. */
  readonly sshdConfig?: string | undefined;
}

interface RunResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class SshdProgram {
  readonly path: string;
  /** The configuration file with symbolic links resolved: the file that would have to be written. */
  readonly configPath: string;
  /** True when `configPath` was named by the caller and has to be passed on. */
  readonly #configGiven: boolean;

  constructor(path: string, configPath: string, configGiven: boolean) {
    this.path = path;
    this.configPath = configPath;
    this.#configGiven = configGiven;
  }

  /** @throws HostError `sshd-config-unreadable` with sshd's own reason */
  async readSettings(): Promise<SshdSettings> {
    const first = await this.#run(['-T', ...this.#configArguments()]);
    const result = first.status === 0 ? first : await this.#run(['-T', ...this.#configArguments(), ...matchParameters]);
    if (result.status !== 0) {
      throw new HostError('sshd-config-unreadable', `sshd does not tell its configuration: ${reasonOf(first)}`, {
        advice: `Run it by hand, as root: ${this.path} -T`,
      });
    }
    return parseSshdSettings(result.stdout);
  }

  /** @param candidate another file to check in place of the configuration @returns sshd's complaint, undefined when it accepts */
  async findConfigFault(candidate?: string): Promise<string | undefined> {
    const file = candidate === undefined ? this.#configArguments() : ['-f', candidate];
    const result = await this.#run(['-t', ...file]);
    return result.status === 0 ? undefined : reasonOf(result);
  }

  #configArguments(): string[] {
    return this.#configGiven ? ['-f', this.configPath] : [];
  }

  async #run(args: readonly string[]): Promise<RunResult> {
    return run(this.path, args);
  }
}

/** @throws HostError `sshd-not-found`, `sshd-config-unreadable` */
export async function findSshd(places: SshdPlaces = {}): Promise<SshdProgram> {
  const path = await findProgram(places.sshd);
  const given = places.sshdConfig;
  const config = given === undefined ? await firstReadable(usualConfigs) : await firstReadable([resolve(given)]);
  if (config === undefined) {
    const looked = given ?? usualConfigs.join(', ');
    throw new HostError('sshd-config-unreadable', `the configuration of sshd cannot be read (${looked})`, {
      advice: 'Name it with --sshd-config, and run as root.',
    });
  }
  return new SshdProgram(path, await realpath(config), given !== undefined);
}

async function findProgram(given: string | undefined): Promise<string> {
  if (given !== undefined && !isAbsolute(given)) throw notFound(`--sshd must be an absolute path, not ${given}`);
  const fromPath = (process.env.PATH ?? '')
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, 'sshd'));
  for (const candidate of given === undefined ? [...usualPrograms, ...fromPath] : [given]) {
    if (await isAccessible(candidate, constants.X_OK)) return candidate;
  }
  throw notFound(given === undefined ? 'no sshd is installed here' : `${given} cannot be run`);
}

function notFound(why: string): HostError {
  return new HostError('sshd-not-found', why, {
    advice: 'Install OpenSSH (Debian and Ubuntu: apt install openssh-server), or name the program with --sshd.',
  });
}

async function firstReadable(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    if (await isAccessible(path, constants.R_OK)) return path;
  }
  return undefined;
}

async function isAccessible(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

/** The last two lines that sshd wrote: what is wrong, and that it gave up for that. */
function reasonOf({ stderr, status }: RunResult): string {
  const last = stderr.trim().split('\n').slice(-2).join('; ');
  return last === '' ? `it ended with status ${status}` : printable(last, 400);
}

/** Runs a program to its end. Its failure is a value; @throws HostError `sshd-not-found` when it cannot be started. */
async function run(path: string, args: readonly string[]): Promise<RunResult> {
  const env = { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
  return new Promise((done, fail) => {
    execFile(path, args, { env, timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES }, (error, stdout, stderr) => {
      const status = error === null ? 0 : error.code;
      if (typeof status === 'number') done({ status, stdout, stderr });
      else if (error?.killed === true) done({ status: 124, stdout, stderr: `${stderr}\nit took longer than 20 s` });
      else
        fail(
          new HostError('sshd-not-found', `${path} cannot be run (${systemErrorCode(error) ?? 'unknown'})`, {
            cause: error,
          }),
        );
    });
  });
}
