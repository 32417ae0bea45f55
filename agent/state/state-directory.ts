/**
 * Where the agent keeps what it knows: the trusted CA (`authority.json`) and what it installed (`host/`). One place:
 * `/var/lib/countersign` for root, `$XDG_STATE_HOME/countersign` for everybody else, or what `--state-dir` says.
 * Refused on purpose: a directory of somebody else, or one that others may write to, since what lies in it decides who is trusted.
 */
import { constants } from 'node:fs';
import { access, mkdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { systemErrorCode, systemErrorReason } from '../failure.ts';
import { StateError } from './state-error.ts';

export const ROOT_STATE_DIRECTORY = '/var/lib/countersign';

/** @param given the value of `--state-dir` */
export function stateDirectoryPath(
  given: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
  uid: number | undefined = process.geteuid?.(),
): string {
  if (given !== undefined) return resolve(given);
  if (uid === 0) return ROOT_STATE_DIRECTORY;
  const stateHome = env.XDG_STATE_HOME ?? '';
  return join(isAbsolute(stateHome) ? stateHome : join(homedir(), '.local/state'), 'countersign');
}

/** Makes the directory with mode 0700 where it is missing, and checks whose it is. @throws StateError */
export async function openStateDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unusable(path, cause);
  }
  await checkStateDirectory(path);
}

/** @returns false when there is none @throws StateError `state-not-private`, `state-unusable` */
export async function checkStateDirectory(path: string): Promise<boolean> {
  try {
    const { uid, mode } = await stat(path);
    if ((uid !== 0 && uid !== process.geteuid?.()) || (mode & 0o022) !== 0) throw notPrivate(path);
    await access(path, constants.R_OK | constants.X_OK);
    return true;
  } catch (cause) {
    if (cause instanceof StateError) throw cause;
    if (systemErrorCode(cause) === 'ENOENT') return false;
    throw unusable(path, cause);
  }
}

export function unusable(path: string, cause: unknown): StateError {
  return new StateError('state-unusable', `${path} cannot be used: ${systemErrorReason(cause)}`, {
    cause,
    advice: 'Run as root, or name another place with --state-dir.',
  });
}

function notPrivate(path: string): StateError {
  return new StateError('state-not-private', `${path} belongs to another user, or others may write to it`, {
    advice: `What lies there decides which CA is trusted. Check how it came about, then: chown root ${path}; chmod 700 ${path}`,
  });
}
