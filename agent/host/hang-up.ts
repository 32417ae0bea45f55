/**
 * SIGHUP to sshd, at a moment when it is heard. It would end an sshd that has just been started, and one that starts anew after an earlier SIGHUP
 * ignores it: both until their handlers are there, which is after they listen. Linux tells which signals a process catches (proc_pid_status(5));
 * elsewhere nothing is known, and nothing waited for. Does I/O.
 */
import { readFile, readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemErrorCode, systemErrorReason } from '../failure.ts';
import { HostError } from './host-error.ts';

/** Bit of SIGHUP, signal 1, in the masks of the kernel. */
const SIGHUP_BIT = 1n;
/** A start takes some hundredths of a second, on a machine that is overloaded some seconds. */
const PATIENCE_MS = 15_000;
const POLL_MS = 5;

/** @throws HostError `reload-failed`: it was not sent */
export async function sendHangUp(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGHUP');
  } catch (cause) {
    throw unsent(pid, systemErrorReason(cause), 'Run as root.', cause);
  }
}

/** Resolves when a SIGHUP to this sshd makes it read its configuration anew. @throws HostError `reload-failed` */
export async function untilHangUpIsHeard(pid: number): Promise<void> {
  const heard = await pollUntil(async () => (await hearsHangUp(pid)) !== false);
  if (!heard)
    throw unsent(pid, 'it does not handle SIGHUP', 'See whether its start comes to an end: journalctl -u ssh -u sshd');
}

/** Asks again until it holds. @param patienceMs default: what an sshd may take to start anew @returns whether it came to hold */
export async function pollUntil(holds: () => Promise<boolean>, patienceMs = PATIENCE_MS): Promise<boolean> {
  for (const deadline = performance.now() + patienceMs; !(await holds()); await sleep(POLL_MS)) {
    if (performance.now() > deadline) return false;
  }
  return true;
}

/** Looks again for as long as an sshd of this machine starts anew: nobody listens then, and in a moment it may be the one looked for. */
export async function acrossRestart<T>(look: () => Promise<T>, isFound: (seen: T) => boolean): Promise<T> {
  let seen = await look();
  if (isFound(seen)) return seen;
  await pollUntil(async () => {
    const isComing = await isAnySshdStartingAnew();
    seen = await look();
    return isFound(seen) || !isComing;
  });
  return seen;
}

/** Undefined for a process that is gone, and where the system does not tell. */
export async function hearsHangUp(pid: number): Promise<boolean | undefined> {
  return hasHangUp('SigCgt', await statusOf(pid));
}

/** From the moment when it stops listening until it hears again, it ignores SIGHUP. */
async function isAnySshdStartingAnew(): Promise<boolean> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(pids.map(async (pid) => statusOf(Number(pid))));
  return all.some((status) => /^Name:\s*sshd$/m.test(status) && hasHangUp('SigIgn', status) === true);
}

function hasHangUp(set: 'SigCgt' | 'SigIgn', status: string): boolean | undefined {
  const mask = new RegExp(`^${set}:\\s*([0-9a-f]{1,32})$`, 'm').exec(status)?.[1];
  return mask === undefined ? undefined : (BigInt(`0x${mask}`) & SIGHUP_BIT) !== 0n;
}

async function statusOf(pid: number): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/status`, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return '';
  }
}

function unsent(pid: number, why: string, advice: string, cause?: unknown): HostError {
  return new HostError('reload-failed', `sshd (process ${pid}) cannot be told to reload: ${why}`, { cause, advice });
}
