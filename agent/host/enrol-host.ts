/**
 * The enrolment of this host: find out what to ask for, ask, install. Does I/O; each decision has a file of its own.
 */
import type { Certificate } from '#openssh/certificate.ts';
import { MAX_ADDRESSES, MAX_NAMES } from '#protocol/host-challenge.ts';
import type { CaClient } from '../ca/ca-client.ts';
import { enrolKey } from '../ca/enrolment.ts';
import { type Authority, fingerprintsOf } from '../state/authority.ts';
import { chooseKeys } from './key-choice.ts';
import { type ActivateOptions, activate, checkCandidate } from './install.ts';
import type { HostContext } from './host-context.ts';
import { HostError } from './host-error.ts';
import { type HostKey, readHostKeys } from './host-key.ts';
import { hostRecordPath } from './host-record.ts';
import { type EnrolledKey, type InstallSite, findInstallSite, planFor } from './install-site.ts';
import { type InstallPlan, candidateConfig } from './install-plan.ts';
import { readIssued, storeIssued } from './issued-store.ts';
import { type Identity, findIdentity } from './machine-identity.ts';
import type { ReloadMethod } from './reload-choice.ts';
import { findReloadMethod } from './reload.ts';
import { isReusable } from './reuse.ts';
import { findServed, servesKey } from './served-check.ts';
import { requireWritable } from './writable.ts';

export interface EnrolOptions {
  readonly names?: readonly string[] | undefined;
  readonly addresses?: readonly string[] | undefined;
  readonly port?: number | undefined;
  readonly allKeys: boolean;
  readonly trustUsers: boolean;
  readonly replace: boolean;
}

/** Everything that is known before the CA is asked. */
export interface EnrolmentPlan {
  readonly identity: Identity;
  readonly port: number;
  readonly keys: readonly HostKey[];
  /** Every key of this host that can sign: one that is enrolled already vouches for the others. */
  readonly ownKeys: readonly HostKey[];
  readonly site: InstallSite;
  readonly reload: ReloadMethod;
  readonly remarks: readonly string[];
}

/** @throws HostError; nothing is changed */
export async function planEnrolment(
  context: HostContext,
  authority: Authority,
  options: EnrolOptions,
): Promise<EnrolmentPlan> {
  const { settings } = context;
  const hostKeys = await readHostKeys(settings);
  const choice = chooseKeys(hostKeys, settings, options.allKeys);
  const [served, found, located] = await Promise.allSettled([
    requireAllServed(context, choice.keys),
    findIdentity(options, settings),
    findInstallSite(context, authority, choice.keys, options),
  ]);
  takeValue(served); // of several faults the first one is told, whichever was found first
  const identity = takeValue(found);
  requireBounds(identity);
  const site = takeValue(located);
  await requireWritable([...site.targets, hostRecordPath(context.stateDirectory)]);
  // after the look at what is served: the process that sshd starts for it may hold the listening sockets for a moment
  const reload = await findReloadMethod(settings, context.reload);
  const remarks = [...choice.remarks, ...identity.remarks, ...site.remarks];
  const port = options.port ?? settings.ports[0] ?? 22;
  return { identity, port, keys: choice.keys, ownKeys: hostKeys.keys, site, reload, remarks };
}

/** Asks the CA for the certificate of one key, unless it gave one before. @throws CaError, HostError */
export async function obtainCertificate(
  { stateDirectory }: HostContext,
  authority: Authority,
  plan: EnrolmentPlan,
  key: HostKey,
  client: CaClient,
): Promise<EnrolledKey> {
  const now = client.clock.now();
  const known = await knownCertificate(stateDirectory, authority, plan, key, now);
  if (known !== undefined) return { key, certificate: known, reused: true };
  const { names, addresses } = plan.identity;
  const trustedCas = fingerprintsOf(authority.hostCaKeys);
  const voucher = await findVoucher(stateDirectory, authority, plan, key, now);
  const request = { names, addresses, port: plan.port, key, voucher, trustedCas };
  const certificate = await enrolKey(client, request);
  await storeIssued(stateDirectory, key.fingerprint, certificate);
  return { key, certificate, reused: false };
}

/** A certificate of an earlier enrolment that still serves. */
async function knownCertificate(
  stateDirectory: string,
  authority: Authority,
  { identity: { names } }: EnrolmentPlan,
  key: HostKey,
  now: bigint,
): Promise<Certificate | undefined> {
  const trustedCas = fingerprintsOf(authority.hostCaKeys);
  const known = await readIssued(stateDirectory, key.fingerprint);
  const wanted = { keyBlob: key.blob, names, trustedCas, now };
  return known !== undefined && isReusable(known, wanted) ? known : undefined;
}

async function findVoucher(
  stateDirectory: string,
  authority: Authority,
  plan: EnrolmentPlan,
  key: HostKey,
  now: bigint,
): Promise<HostKey | undefined> {
  for (const other of plan.ownKeys) {
    if (other.fingerprint === key.fingerprint) continue;
    if ((await knownCertificate(stateDirectory, authority, plan, other, now)) !== undefined) return other;
  }
  return undefined;
}

export interface InstallOutcome {
  readonly plan: InstallPlan;
  /** False when everything was there and served already. */
  readonly changed: boolean;
}

/** @throws HostError; the old state stands then */
export async function installCertificates(
  context: HostContext,
  authority: Authority,
  plan: EnrolmentPlan,
  enrolled: readonly EnrolledKey[],
  hooks: Pick<ActivateOptions, 'onStep' | 'onActivation' | 'signal'> = {},
): Promise<InstallOutcome> {
  const install = await planFor(context, authority, plan.site, enrolled, { ...plan.identity, port: plan.port });
  const certificates = enrolled.map(({ certificate }) => certificate);
  const onlyRecord = install.changes.every(({ path }) => path === hostRecordPath(context.stateDirectory));
  if (onlyRecord && (await allServed(context, certificates))) return { plan: install, changed: false };
  await checkCandidate(context, candidateConfig(install, plan.site.sshdConfig.text));
  await activate(context, install.changes, { ...hooks, certificates, method: plan.reload });
  return { plan: install, changed: true };
}

async function allServed({ settings }: HostContext, certificates: readonly Certificate[]): Promise<boolean> {
  for (const certificate of certificates) {
    if ((await findServed(settings, certificate)) !== 'served') return false;
  }
  return true;
}

function takeValue<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

/** One after the other: newer sshd counts connections without a login (PerSourcePenalties). */
async function requireAllServed(context: HostContext, keys: readonly HostKey[]): Promise<void> {
  for (const key of keys) await requireServed(context, key);
}

async function requireServed({ settings }: HostContext, key: HostKey): Promise<void> {
  if (await servesKey(settings, key.publicKey, key.blob)) return;
  throw new HostError('key-not-served', `the running sshd does not answer with the key of ${key.path}`, {
    advice:
      'It may have been started before the key was made, or with another configuration: reload sshd (systemctl reload ssh), or name its configuration with --sshd-config.',
  });
}

function requireBounds({ names, addresses }: Identity): void {
  if (names.length > MAX_NAMES) throw new HostError('name-unknown', `more than ${MAX_NAMES} names for one host`);
  if (addresses.length <= MAX_ADDRESSES) return;
  throw new HostError('address-unknown', `more than ${MAX_ADDRESSES} addresses for one host`, {
    advice: 'Name with --ip the ones that DNS has for its names.',
  });
}
