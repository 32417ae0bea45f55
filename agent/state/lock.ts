/**
 * One run at a time may change a host: a lock file with the process id of its holder. A lock whose holder is gone is taken over,
 * so that a killed run never blocks the next one.
 */
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { systemErrorCode } from '../failure.ts';
import { siblingPath } from './durable-file.ts';
import { unusable } from './state-directory.ts';
import { StateError } from './state-error.ts';

/** Holds the lock until disposed. @throws StateError `busy`, `state-unusable` */
export async function acquireLock(path: string): Promise<AsyncDisposable> {
  const own = siblingPath(path, 'pid');
  try {
    await writeFile(own, `${process.pid}\n`, { mode: 0o600 });
    await takeLock(path, own);
  } catch (cause) {
    throw cause instanceof StateError ? cause : unusable(path, cause);
  } finally {
    await rm(own, { force: true });
  }
  return { [Symbol.asyncDispose]: async () => rm(path, { force: true }) };
}

/** A hard link appears whole or not at all, with the process id in it. */
async function takeLock(path: string, own: string): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      return await link(own, path);
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    }
    await breakStaleLock(path);
  }
  throw new StateError('busy', `another run holds ${path}`, { advice: 'Wait for it to end, then try again.' });
}

async function breakStaleLock(path: string): Promise<void> {
  const pid = await readPid(path);
  if (pid === undefined) return;
  if (isRunning(pid)) {
    throw new StateError('busy', `process ${pid} is changing this host already (${path})`, {
      advice: 'Wait for it to end, then try again.',
    });
  }
  const aside = siblingPath(path, 'stale');
  // Of several who see the stale lock one moves it away; a fresh lock that was moved by mistake is put back.
  await rename(path, aside);
  try {
    if ((await readPid(aside)) !== pid) await link(aside, path);
  } finally {
    await rm(aside, { force: true });
  }
}

async function readPid(path: string): Promise<number | undefined> {
  try {
    const pid = Number.parseInt(await readFile(path, 'utf8'), 10);
    return Number.isSafeInteger(pid) ? pid : 0;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function isRunning(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === 'EPERM';
  }
}
