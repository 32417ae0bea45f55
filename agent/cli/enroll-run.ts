/** `countersign host enroll`: what it does, and how it tells. */
import { openCaClient } from '../ca/ca-client.ts';
import {
  type EnrolOptions,
  type EnrolmentPlan,
  type InstallOutcome,
  installCertificates,
  obtainCertificate,
  planEnrolment,
} from '../host/enrol-host.ts';
import { type HostContext, openHost } from '../host/host-context.ts';
import type { EnrolledKey } from '../host/install-site.ts';
import { type Authority, requireAuthority } from '../state/authority.ts';
import { describeCertificate, formatUtc } from './certificate-text.ts';
import { formatPlan, planAsJson } from './enroll-text.ts';
import type { EnrollOptions } from './host.ts';
import { beginChange, placesOf } from './host-places.ts';
import { catchInterrupts } from './interrupt.ts';
import { type Progress, createProgress } from './progress.ts';

/** @throws StateError, CaError, HostError */
export async function runEnroll(options: EnrollOptions): Promise<void> {
  const places = placesOf(options);
  const progress = createProgress(process.stderr, { silent: options.json === true });
  const authority = await requireAuthority(places.stateDirectory);
  using interrupts = catchInterrupts();
  await using _change = await beginChange(places, progress);
  const { context, plan } = await progress.run('Looking at sshd and the host keys that it serves', async () => {
    const context = await openHost(places);
    return { context, plan: await planEnrolment(context, authority, enrolOptionsOf(options)) };
  });
  if (options.dryRun === true) return print(options, planAsJson(plan, authority), formatPlan(plan, authority));
  if (options.json !== true) process.stderr.write(formatPlan(plan, authority));
  const enrolled = await obtainAll(context, authority, plan, progress, interrupts.signal);
  const outcome = await progress.run(
    'Installing the certificate, reloading sshd and looking at what it serves',
    async () => {
      return installCertificates(context, authority, plan, enrolled, interrupts);
    },
  );
  print(options, resultAsJson(plan, enrolled, outcome), formatResult(enrolled, outcome));
}

function enrolOptionsOf(options: EnrollOptions): EnrolOptions {
  return {
    names: options.name,
    addresses: options.ip,
    port: options.port,
    allKeys: options.allKeys === true,
    trustUsers: options.trustUsers,
    replace: options.replace === true,
  };
}

async function obtainAll(
  context: HostContext,
  authority: Authority,
  plan: EnrolmentPlan,
  progress: Progress,
  signal: AbortSignal,
): Promise<EnrolledKey[]> {
  const onWait = (seconds: number) => progress.note(`the CA is busy and asked to wait ${seconds} s`);
  await using client = openCaClient({ url: authority.url, root: authority.rootCertificate, signal, onWait });
  const enrolled: EnrolledKey[] = [];
  for (const key of plan.keys) {
    const text = `Asking the CA, which connects back and looks for ${key.path}`;
    enrolled.push(await progress.run(text, async () => obtainCertificate(context, authority, plan, key, client)));
  }
  if (enrolled.some(({ reused }) => reused))
    progress.note('a certificate of an earlier enrolment is still good and is used again');
  return enrolled;
}

function resultAsJson(plan: EnrolmentPlan, enrolled: readonly EnrolledKey[], outcome: InstallOutcome): unknown {
  return {
    keys: enrolled.map(({ key, certificate, reused }) => ({
      path: key.path,
      fingerprint: key.fingerprint,
      ...describeCertificate(certificate),
      reused,
    })),
    changed: outcome.changed,
    files: outcome.plan.record.files.map(({ path }) => path),
    dropIn: outcome.plan.record.dropIn,
    userTrust: outcome.plan.record.userTrust,
    remarks: plan.remarks,
  };
}

function formatResult(enrolled: readonly EnrolledKey[], { changed, plan }: InstallOutcome): string {
  const lines = enrolled.flatMap(({ key, certificate }) => [
    `${key.path} is certified for ${certificate.principals.join(', ')}`,
    `  until ${formatUtc(certificate.validBefore)}, serial ${certificate.serial}`,
  ]);
  const last = changed
    ? `sshd reads it through ${plan.record.dropIn.path}`
    : 'Nothing had to be changed: sshd served it already';
  return `${[...lines, last].join('\n')}\n`;
}

function print(options: EnrollOptions, json: unknown, text: string): void {
  process.stdout.write(options.json === true ? `${JSON.stringify(json, null, 2)}\n` : text);
}
