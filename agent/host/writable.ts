/**
 * Whether files can be written where they have to go, found out before the CA is asked: the CA enrols a key once, so a full disk or
 * a read-only /etc should be known first. Does I/O.
 */
import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemErrorCode, systemErrorReason } from '../failure.ts';
import { HostError } from './host-error.ts';

/** As much as all our files in one directory can need: certificates, drop-in, journal. */
const TRIAL_BYTES = 64 * 1024;

/** Tries the directory of each path, or the nearest one above it that exists. @throws HostError `not-writable` */
export async function requireWritable(paths: readonly string[]): Promise<void> {
  for (const directory of new Set(paths.map((path) => dirname(path)))) await tryDirectory(directory, directory);
}

async function tryDirectory(directory: string, wanted: string): Promise<void> {
  // One name, so that what a killed run left is taken away by the next.
  const trial = join(directory, '.countersign.trial');
  try {
    await rm(trial, { force: true });
    // Not flushed: file systems reserve the space when it is written, and a flush costs more than the rest of the plan.
    await writeFile(trial, new Uint8Array(TRIAL_BYTES), { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT' && dirname(directory) !== directory) {
      return await tryDirectory(dirname(directory), wanted);
    }
    throw notWritable(wanted, cause);
  } finally {
    await rm(trial, { force: true }).catch(() => {}); // on a read-only file system there is nothing to take away
  }
}

function notWritable(directory: string, cause: unknown): HostError {
  return new HostError('not-writable', `nothing can be written to ${directory}: ${systemErrorReason(cause)}`, {
    cause,
    advice: 'Nothing was changed, and the CA was not asked. Make room or make it writable (as root), then try again.',
  });
}
