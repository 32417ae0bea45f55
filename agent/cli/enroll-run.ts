/** `countersign host enroll`: what it does, and how it tells. */
import { CaConnections } from '../ca/ca-connections.ts';
import { openClock } from '../clock/clock-record.ts';
import type { Failure } from '../failure.ts';
import {
  type EnrolOptions,
  type EnrolmentPlan,
  type InstallOutcome,
  installCertificates,
  planEnrolment,
} from '../host/enrol-host.ts';
import { followAuthority } from '../host/following/follow-authority.ts';
import { removeUnusedKrl } from '../host/following/untold-krl.ts';
import { type HostPlaces, openHost } from '../host/host-context.ts';
import type { EnrolledKey } from '../host/install-site.ts';
import { reportEnrolled } from '../host/renewal/first-report.ts';
import { type Authority, requireAuthority } from '../state/authority.ts';
import { describeCertificate, formatUtc } from './certificate-text.ts';
import { formatPlan, planAsJson } from './enroll-text.ts';
import type { EnrollOptions } from './host.ts';
import { beginChange, placesOf } from './host-places.ts';
import { catchInterrupts } from './interrupt.ts';
import { type Asking, obtainAll } from './obtain-all.ts';
import { type Progress, createProgress } from './progress.ts';

/** @throws StateError, CaError, HostError */
export async function runEnroll(options: EnrollOptions): Promise<void> {
  const places = placesOf(options);
  const progress = createProgress(process.stderr, { silent: options.json === true });
  const pinned = await requireAuthority(places.stateDirectory);
  using interrupts = catchInterrupts();
  await using _change = await beginChange(places, progress);
  const { context, plan } = await progress.run('Looking at sshd and the host keys that it serves', async () => {
    const context = await openHost(places);
    return { context, plan: await planEnrolment(context, pinned, enrolOptionsOf(options)) };
  });
  if (options.dryRun === true) return print(options, planAsJson(plan, pinned), formatPlan(plan, pinned));
  if (options.json !== true) process.stderr.write(formatPlan(plan, pinned));
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => removeUnusedKrl(places.stateDirectory)); // of an enrolment that came to nothing
  const clock = await openClock(places.stateDirectory, pinned);
  const connections = stack.use(new CaConnections(pinned.rootCertificate, clock));
  const asking = { clock, signal: interrupts.signal, connections };
  const followed = await follow(places, pinned, plan, progress, asking);
  const { authority } = followed;
  const { enrolled, remarks } = await obtainAll(context, authority, plan, progress, asking);
  const outcome = await progress.run(
    'Installing the certificate, reloading sshd and looking at what it serves',
    async () => {
      return installCertificates(context, authority, plan, enrolled, interrupts);
    },
  );
  const { record } = outcome.plan;
  const unreported = await reportEnrolled({
    stateDirectory: places.stateDirectory,
    authority,
    record,
    enrolled,
    ...asking,
  });
  const untold = unreported === undefined ? [] : [remarkOf(unreported)];
  for (const remark of untold) progress.note(remark);
  print(
    options,
    resultAsJson([...plan.remarks, ...remarks, ...followed.remarks, ...untold], enrolled, outcome),
    formatResult(enrolled, outcome),
  );
}

function remarkOf({ message }: Failure): string {
  return `the CA was not told yet that the certificate is in use, the next host run or host renew does it: ${message}`;
}

/** Which keys the CA has today and what it revoked, before its answers are judged: the first contact may be long ago. */
async function follow(
  places: HostPlaces,
  pinned: Authority,
  { site }: EnrolmentPlan,
  progress: Progress,
  asking: Asking,
): Promise<{ readonly authority: Authority; readonly remarks: readonly string[] }> {
  const options = { ...asking, urgent: true, krlPath: site.revokedKeys };
  const { authority, failure } = await followAuthority(places, pinned, options);
  const remarks = failure === undefined ? [] : [`what the CA revoked is not known here yet: ${failure.message}`];
  for (const remark of remarks) progress.note(remark);
  return { authority, remarks };
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

function resultAsJson(remarks: readonly string[], enrolled: readonly EnrolledKey[], outcome: InstallOutcome): unknown {
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
    remarks,
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
