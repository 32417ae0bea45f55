/** Checks of what is installed: certificates valid and served, files as we wrote them, no interrupted run. */
import type { Certificate } from '#openssh/certificate.ts';
import type { Authority } from '../../state/authority.ts';
import { readInterrupted } from '../file-transaction.ts';
import type { HostContext } from '../host-context.ts';
import { hostDirectory } from '../host-record.ts';
import { type HostStatus, type KeyFault, type KeyStatus, readHostStatus } from '../host-status.ts';
import { remedyFor } from '../renewal/remedy.ts';
import { checkFollowing } from './following-checks.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

export async function checkCertificates(
  context: HostContext,
  authority: Authority,
  now: bigint,
): Promise<{ readonly status: HostStatus | undefined; readonly findings: readonly Finding[] }> {
  const interrupted = await checkInterrupted(context.stateDirectory);
  const status = await readHostStatus(context, authority, now);
  if (status === undefined) {
    const none = warn('certificate', 'this host is not enrolled', 'Run: countersign host enroll');
    return { status, findings: [none, ...interrupted] };
  }
  const keys = status.keys.flatMap((key) => [certificateFinding(key, now), ...renewalFindings(key)]);
  const changed = status.changedFiles.map((path) =>
    warn('files', `${path} is not as we wrote it`, 'countersign host enroll writes it again.'),
  );
  return { status, findings: [...keys, ...checkFollowing(status.following, now), ...changed, ...interrupted] };
}

export async function checkInterrupted(stateDirectory: string): Promise<Finding[]> {
  if ((await readInterrupted(hostDirectory(stateDirectory))) === undefined) return [];
  const advice = 'countersign host enroll, or host remove, puts its files back first.';
  return [fail('interrupted', 'an earlier run was stopped in the middle of changing files', advice)];
}

const again = 'Run: countersign host enroll';
const faults: Readonly<Record<KeyFault, readonly [string, string]>> = {
  'certificate-missing': ['is missing or damaged', again],
  'another-key': ['is for another host key than the present one', again],
  'certificate-expired': ['has expired', again],
  'certificate-not-yet-valid': ['is not valid yet', 'Check the clock: date -u'],
  'certificate-untrusted': [
    'is not by the pinned host CA',
    'Pin the CA again (countersign bootstrap) if its key changed.',
  ],
  'not-served': ['is not served by sshd', `Reload sshd (systemctl reload ssh); if that does not help: ${again}`],
  'sshd-not-answering': ['cannot be looked at: sshd does not answer', 'Start sshd.'],
};

export function certificateFinding(
  { key, certificate, fault }: Pick<KeyStatus, 'key' | 'certificate' | 'fault'>,
  now: bigint,
): Finding {
  const what = `the certificate of ${key.path}`;
  if (fault !== undefined || certificate === undefined) {
    const [words, advice] = faults[fault ?? 'certificate-missing'];
    return fail('certificate', `${what} ${words}`, advice);
  }
  const days = `${remainingHours(certificate, now)} h left`;
  if (isLate(certificate, now)) return warn('certificate', `${what} ends soon: ${days}`, again);
  return ok('certificate', `${what} is valid and served, ${days}`);
}

/** Of renewals that fail: why, who ends it, and when it is tried again. */
export function renewalFindings({
  key,
  certificate,
  outlook,
}: Pick<KeyStatus, 'key' | 'certificate' | 'outlook'>): Finding[] {
  const { lastFailure, isFailing, needsPerson, pausedUntil } = outlook;
  if (!isFailing || lastFailure === undefined) return [];
  const { code, message } = lastFailure;
  const name = key.names[0] ?? '';
  const remedy = certificate === undefined ? undefined : remedyFor({ code, serial: certificate.serial, name });
  const next = pausedUntil === undefined ? [] : [`Next attempt: ${isoSeconds(pausedUntil)}`];
  const own = remedy ?? lastFailure.advice;
  const advice =
    [...(own === null ? [] : [own]), ...next].join('\n') || 'The log has more: journalctl -u countersign-host';
  const what = `the renewal for ${key.path} failed at ${isoSeconds(BigInt(lastFailure.at))} [${code}]: ${message}`;
  return [needsPerson ? fail('renewal', what, advice) : warn('renewal', what, advice)];
}

function isoSeconds(epochSeconds: bigint): string {
  return new Date(Number(epochSeconds) * 1000).toISOString().replace('.000Z', 'Z');
}

/** Less than a third of its life left. */
function isLate({ validAfter, validBefore }: Certificate, now: bigint): boolean {
  return (validBefore - now) * 3n < validBefore - validAfter;
}

function remainingHours({ validBefore }: Certificate, now: bigint): bigint {
  return (validBefore - now) / 3600n;
}
