/**
 * Connecting to an sshd that may be reading its configuration anew at this moment, because something that was killed or runs beside the test has
 * told it to: for a moment it listens to nobody, and drops or forgets who came just before. A client comes again, as a person would.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { certificateAlgorithms, plainAlgorithms } from '#agent/host/certificate-algorithm.ts';
import { HostError } from '#agent/host/host-error.ts';
import type { ServedHostKey } from '#agent/host/key-exchange.ts';
import { probeHostKey } from '#agent/host/served-key.ts';
import type { TestHostKey, TestSshd } from './sshd.ts';

const PATIENCE_MS = 60_000;
const PAUSE_MS = 50;

/** The connection ended before sshd decided anything. */
export class ConnectionLost extends Error {}

/** Runs `connect` until it does not end in ConnectionLost or HostError `sshd-not-answering`; a minute at most. */
export async function acrossReload<T>(connect: () => Promise<T>): Promise<T> {
  for (const deadline = performance.now() + PATIENCE_MS; ; await sleep(PAUSE_MS)) {
    try {
      return await connect();
    } catch (error) {
      if (!wasLost(error) || performance.now() > deadline) throw error;
    }
  }
}

function wasLost(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof HostError && error.code === 'sshd-not-answering');
}

/** What sshd proves for a certificate of the key: undefined when it has none. */
export async function servedCertificate(sshd: TestSshd, key = firstKey(sshd)): Promise<ServedHostKey | undefined> {
  return acrossReload(async () => probeHostKey(sshd, certificateAlgorithms(key.key.type)));
}

/** What sshd proves for the plain key. */
export async function servedKey(sshd: TestSshd, key = firstKey(sshd)): Promise<ServedHostKey | undefined> {
  return acrossReload(async () => probeHostKey(sshd, plainAlgorithms(key.key.type)));
}

export function firstKey({ hostKeys }: TestSshd): TestHostKey {
  const [key] = hostKeys;
  if (key === undefined) throw new TypeError('an sshd without host keys');
  return key;
}
