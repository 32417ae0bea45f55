/** `countersign host status`: what it shows. Changes nothing. */
import type { Clock } from '../clock/clock.ts';
import { openClock } from '../clock/clock-record.ts';
import { readInterrupted } from '../host/file-transaction.ts';
import { openHost } from '../host/host-context.ts';
import { hostDirectory } from '../host/host-record.ts';
import { type HostStatus, type KeyFault, type KeyStatus, readHostStatus } from '../host/host-status.ts';
import { remedyFor } from '../host/renewal/remedy.ts';
import type { Outlook } from '../host/renewal/outlook.ts';
import { type Authority, requireAuthority } from '../state/authority.ts';
import { describeCertificate, formatUtc } from './certificate-text.ts';
import { describeJudgement, judgementAsJson } from './clock-text.ts';
import { followingStatusAsJson, formatFollowing } from './following-status-text.ts';
import type { PlaceOptions } from './host.ts';
import { placesOf } from './host-places.ts';
import { EXIT_DONE, EXIT_FAILED } from './program.ts';

/** @returns exit status: 0 when everything is in order @throws StateError, HostError */
export async function runStatus(options: PlaceOptions): Promise<number> {
  const places = placesOf(options);
  const authority = await requireAuthority(places.stateDirectory);
  const clock = await openClock(places.stateDirectory, authority);
  const status = await readHostStatus(await openHost(places), authority, clock.now());
  const interrupted = (await readInterrupted(hostDirectory(places.stateDirectory))) !== undefined;
  const report = { authority, status, interrupted, clock };
  process.stdout.write(options.json === true ? `${JSON.stringify(asJson(report), null, 2)}\n` : format(report));
  return inOrder(report) ? EXIT_DONE : EXIT_FAILED;
}

interface Report {
  readonly authority: Authority;
  readonly status: HostStatus | undefined;
  readonly interrupted: boolean;
  readonly clock: Clock;
}

function inOrder({ status, interrupted }: Report): boolean {
  if (status === undefined || interrupted || status.changedFiles.length > 0) return false;
  if (status.following.krlState === 'unreadable') return false;
  return status.keys.every(({ fault, outlook }) => fault === undefined && !outlook.needsPerson);
}

const faultWords: Readonly<Record<KeyFault, string>> = {
  'certificate-missing': 'the certificate is missing or damaged: countersign host enroll',
  'another-key': 'the host key was made anew; the certificate is for the old one: countersign host enroll',
  'certificate-expired': 'the certificate has expired',
  'certificate-not-yet-valid': 'the certificate is not valid yet: check the clock',
  'certificate-untrusted': 'the certificate is not by the trusted host CA',
  'not-served': 'sshd does not serve it: reload sshd, or countersign host enroll',
  'sshd-not-answering': 'sshd does not answer: is it running?',
};

function format(report: Report): string {
  const { authority, status, interrupted } = report;
  const remark = interrupted
    ? ['interrupted an earlier run was stopped in the middle: countersign host enroll ends it']
    : [];
  if (status === undefined) {
    return [`Not enrolled. The trusted CA is ${authority.url}`, ...remark, 'Next: countersign host enroll', ''].join(
      '\n',
    );
  }
  const lines = [
    `CA         ${authority.url}`,
    `drop-in    ${status.record.dropIn.path}`,
    `user CA    ${status.record.userTrust ?? 'not installed by us'}`,
    ...formatFollowing(status.following),
    `clock      ${describeJudgement(report.clock.judge())}`,
    ...status.keys.flatMap(formatKey),
    ...status.changedFiles.map((path) => `changed    ${path} is not as we wrote it`),
    ...remark,
  ];
  return `${lines.join('\n')}\n`;
}

function formatKey({ key, certificate, fault, outlook }: KeyStatus): string[] {
  const state = fault === undefined ? 'valid and served' : faultWords[fault];
  const head = [`key        ${key.path} ${key.fingerprint}`, `  state    ${state}`];
  if (certificate === undefined) return [...head, ...formatOutlook(outlook, undefined)];
  const { serial, principals, validAfter, validBefore } = certificate;
  return [
    ...head,
    `  names    ${principals.join(', ')}`,
    `  valid    ${formatUtc(validAfter)} to ${formatUtc(validBefore)}`,
    `  serial   ${serial}`,
    ...formatOutlook(outlook, { serial, name: key.names[0] ?? principals[0] ?? '' }),
  ];
}

function formatOutlook(
  outlook: Outlook,
  host: { readonly serial: bigint; readonly name: string } | undefined,
): string[] {
  const { renewalDueAt, renewedAt, reportedAt, lastFailure, isFailing, pausedUntil, needsPerson } = outlook;
  const at = (label: string, moment: bigint | undefined) =>
    moment === undefined ? [] : [`  ${label.padEnd(8)} ${formatUtc(moment)}`];
  const lines = [...at('renewal', renewalDueAt), ...at('renewed', renewedAt), ...at('reported', reportedAt)];
  if (lastFailure === undefined) return lines;
  const { code, message } = lastFailure;
  lines.push(
    `  failure  ${formatUtc(BigInt(lastFailure.at))}${isFailing ? '' : ', made good since'} [${code}] ${message}`,
  );
  if (!isFailing) return lines;
  const advice = (host === undefined ? undefined : remedyFor({ code, ...host })) ?? lastFailure.advice;
  if (advice !== null) lines.push(...advice.split('\n').map((line) => `           ${line}`));
  if (needsPerson) lines.push('  waits    for a person: nothing gets better by itself');
  return [...lines, ...at('next try', pausedUntil)];
}

function asJson(report: Report): unknown {
  const { authority, status, interrupted } = report;
  const clock = judgementAsJson(report.clock.judge());
  const head = { ca: authority.url, enrolled: status !== undefined, inOrder: inOrder(report), interrupted, clock };
  if (status === undefined) return head;
  return {
    ...head,
    dropIn: status.record.dropIn,
    userTrust: status.record.userTrust,
    following: followingStatusAsJson(status.following),
    changedFiles: status.changedFiles,
    keys: status.keys.map(({ key, certificate, served, fault, outlook }) => ({
      path: key.path,
      fingerprint: key.fingerprint,
      certificateFile: key.certificate,
      certificate: certificate === undefined ? null : describeCertificate(certificate),
      served: served ?? null,
      fault: fault ?? null,
      renewal: outlookAsJson(outlook),
    })),
  };
}

function outlookAsJson(outlook: Outlook): unknown {
  const moment = (at: bigint | undefined) => (at === undefined ? null : formatUtc(at));
  const { lastFailure, isFailing, needsPerson } = outlook;
  return {
    dueAt: moment(outlook.renewalDueAt),
    renewedAt: moment(outlook.renewedAt),
    reportedAt: moment(outlook.reportedAt),
    pausedUntil: moment(outlook.pausedUntil),
    isFailing,
    needsPerson,
    lastFailure: lastFailure === undefined ? null : { ...lastFailure, at: formatUtc(BigInt(lastFailure.at)) },
  };
}
