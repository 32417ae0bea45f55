/**
 * One run at a time may change a host: a lock file that says which process holds it. A lock whose holder is gone is taken over, so
 * that a killed run or a power cut never blocks the next one. A holder is known by process id, time of start and boot, since ids
 * come back.
 */
import { link, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { systemErrorCode } from '../failure.ts';
import { siblingPath } from './durable-file.ts';
import { unusable } from './state-directory.ts';
import { StateError } from './state-error.ts';

const ATTEMPTS = 3;

/** Holds the lock until disposed. @throws StateError `busy`, `state-unusable` */
export async function acquireLock(path: string): Promise<AsyncDisposable> {
  const own = siblingPath(path, 'pid');
  try {
    await writeFile(own, `${await describeProcess(process.pid)}\n`, { mode: 0o600 });
    await take(path, own);
  } catch (cause) {
    throw cause instanceof StateError ? cause : unusable(path, cause);
  } finally {
    await rm(own, { force: true });
  }
  await removeAbandoned(path);
  return { [Symbol.asyncDispose]: async () => rm(path, { force: true }) };
}

/** What runs left that were killed while they tried to take the lock. Those that try now are there to be asked for. */
async function removeAbandoned(path: string): Promise<void> {
  const directory = dirname(path);
  const isAttempt = new RegExp(`^\\.${basename(path)}\\.[0-9a-f]{12}\\.pid$`);
  for (const name of (await readdir(directory)).filter((found) => isAttempt.test(found))) {
    const holder = await readHolder(join(directory, name));
    if (holder !== '' && !(await runs(holder))) await rm(join(directory, name), { force: true });
  }
}

async function take(path: string, own: string): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (await tryLink(own, path)) return;
    await breakIfStale(path, own);
  }
  throw busy(path);
}

/** A hard link appears whole or not at all, with the holder in it. */
async function tryLink(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Who breaks a lock holds a second one meanwhile: two who find it stale must not both remove it, the later one a fresh lock. */
async function breakIfStale(path: string, own: string): Promise<void> {
  await requireGone(path);
  const breaking = `${path}.breaking`;
  if (!(await tryLink(own, breaking))) {
    await requireGone(breaking);
    return rm(breaking, { force: true });
  }
  try {
    await requireGone(path);
    await rm(path, { force: true });
  } finally {
    await rm(breaking, { force: true });
  }
}

/** @throws StateError `busy` when the holder runs */
async function requireGone(path: string): Promise<void> {
  const holder = await readHolder(path);
  if (await runs(holder)) throw busy(path, Number.parseInt(holder, 10));
}

async function runs(holder: string): Promise<boolean> {
  const pid = Number.parseInt(holder, 10);
  return pid > 0 && (await describeProcess(pid)) === holder;
}

function busy(path: string, pid?: number): StateError {
  const who = pid === undefined ? 'another process' : `process ${pid}`;
  return new StateError('busy', `${who} is changing this host already (${path})`, {
    advice: 'Wait for it to end, then try again.',
  });
}

async function readHolder(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return '';
    throw error;
  }
}

/** `PID START BOOT` of a running process (Linux); `PID` elsewhere; empty when there is no such process. */
async function describeProcess(pid: number): Promise<string> {
  if (!isRunning(pid)) return '';
  const [stat, boot] = await Promise.all([
    readHolder(`/proc/${pid}/stat`),
    readHolder('/proc/sys/kernel/random/boot_id'),
  ]);
  // proc_pid_stat(5): the name in parentheses may hold anything; the start time is the 20th field after it
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return [String(pid), start, boot].filter((part) => part !== '').join(' ');
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === 'EPERM';
  }
}
