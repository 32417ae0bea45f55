/** Whether the running sshd serves a certificate, asked of sshd itself; patient for as long as a reload takes. Does I/O. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificate } from '#openssh/certificate.ts';
import { type KeyType, keyTypes } from '#openssh/key-type.ts';
import { equalBytes } from '#openssh/wire.ts';
import { certificateAlgorithms, plainAlgorithms } from './certificate-algorithm.ts';
import { acrossRestart, hearsHangUp, pollUntil, untilHangUpIsHeard } from './hang-up.ts';
import { HostError } from './host-error.ts';
import { listeningInodesOn } from './listener.ts';
import type { ReloadMethod } from './reload-choice.ts';
import { reloadSshd } from './reload.ts';
import { formatHostPort, probeHostKey } from './served-key.ts';
import { type Endpoint, type SshdSettings, localEndpoints } from './sshd-settings.ts';

/** Few and growing: newer sshd counts connections without a login against their source address (PerSourcePenalties). */
const RETRY_DELAYS_MS = [60, 150, 400, 1000, 2000, 4000];
/** For reloads of which it is not known whether they close the sockets at all. */
const REOPEN_TIMEOUT_MS = 1000;

const everyAlgorithm = (Object.keys(keyTypes) as KeyType[]).flatMap(plainAlgorithms);

export type Served = 'served' | 'other' | 'not-answering';

/** What the first endpoint that answers shows for the key of `certificate`. */
export async function findServed(settings: SshdSettings, certificate: Certificate): Promise<Served> {
  const answer = await firstAnswer(settings, certificateAlgorithms(certificate.key.type));
  if (answer === undefined) return 'not-answering';
  return answer.served !== undefined && equalBytes(answer.served.blob, certificate.blob) ? 'served' : 'other';
}

/** Whether sshd proves the plain key `blob`. @throws HostError `sshd-not-answering` */
export async function servesKey(settings: SshdSettings, key: Certificate['key'], blob: Uint8Array): Promise<boolean> {
  const answer = await acrossRestart(
    async () => firstAnswer(settings, plainAlgorithms(key.type)),
    (found) => found !== undefined,
  );
  if (answer === undefined) throw notAnswering(settings);
  return answer.served !== undefined && equalBytes(answer.served.blob, blob);
}

/** @throws HostError `certificate-not-served`, `sshd-not-answering` when it does not come within some seconds */
export async function waitUntilServed(settings: SshdSettings, certificates: readonly Certificate[]): Promise<void> {
  for (const certificate of certificates) {
    const served = await insist(async () => findServed(settings, certificate), 'served');
    if (served === 'not-answering') throw notAnswering(settings);
    if (served === 'other') throw notServed(settings);
  }
}

/** Asks again for a while until the answer is `wanted`. */
async function insist<T>(ask: () => Promise<T>, wanted: T): Promise<T> {
  for (const delay of RETRY_DELAYS_MS) {
    const answer = await ask();
    if (answer === wanted) return answer;
    await sleep(delay);
  }
  return ask();
}

/** True as soon as sshd answers anything at all. */
export async function waitUntilAnswering(settings: SshdSettings): Promise<boolean> {
  return insist(async () => (await firstAnswer(settings, everyAlgorithm)) !== undefined, true);
}

/**
 * Reloads sshd and waits until it has closed its listening sockets and opened new ones, and would hear of another reload. What cannot be watched
 * this way (other system, other namespace, a command that does something else) is watched by asking for the certificate.
 * @throws HostError `reload-failed`
 */
export async function reloadAndSettle({ endpoints }: SshdSettings, method: ReloadMethod): Promise<void> {
  if (method.kind === 'signal') await untilHangUpIsHeard(method.pid);
  const before = await listeningInodesOn(endpoints);
  await reloadSshd(method);
  if (before.size === 0 || method.kind === 'none') return;
  const isReopened = async () => {
    const now = await listeningInodesOn(endpoints);
    return now.size > 0 && now.isDisjointFrom(before);
  };
  if (method.kind === 'signal') await pollUntil(async () => hasStartedAnew(method.pid, isReopened));
  else await pollUntil(isReopened, REOPEN_TIMEOUT_MS);
}

/** True too when there is nothing to wait for any more: the process is gone. */
async function hasStartedAnew(pid: number, isReopened: () => Promise<boolean>): Promise<boolean> {
  const reopened = await isReopened();
  const isHeard = await hearsHangUp(pid); // asked later, so that it is the new sshd that hears
  return isHeard === undefined || (reopened && isHeard);
}

async function firstAnswer(settings: SshdSettings, algorithms: readonly string[]) {
  for (const endpoint of localEndpoints(settings)) {
    try {
      return { endpoint, served: await probeHostKey(endpoint, algorithms) };
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
  }
  return undefined;
}

function notAnswering(settings: SshdSettings): HostError {
  return new HostError('sshd-not-answering', `sshd does not answer on ${endpointsText(localEndpoints(settings))}`, {
    advice: 'Check that it runs: systemctl status ssh sshd; pgrep -a sshd',
  });
}

function notServed(settings: SshdSettings): HostError {
  const where = endpointsText(localEndpoints(settings));
  return new HostError(
    'certificate-not-served',
    `sshd on ${where} was reloaded and does not serve the new certificate`,
    {
      advice:
        'See the log of sshd for a line about HostCertificate: journalctl -u ssh -u sshd. If sshd runs with a configuration of its own (-f), name it with --sshd-config.',
    },
  );
}

function endpointsText(endpoints: readonly Endpoint[]): string {
  return endpoints.map(({ address, port }) => formatHostPort(address, port)).join(', ') || 'any address';
}
