/** What is installed on this host, and whether it does its work. Does I/O and changes nothing. */
import { hash } from 'node:crypto';
import { findCertificateFault } from '#openssh/certificate-check.ts';
import type { Certificate } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { type Authority, fingerprintsOf } from '../state/authority.ts';
import { readCertificateFile } from './certificate-file.ts';
import { type FollowingStatus, readFollowingStatus } from './following/following-status.ts';
import { type HostContext, readExisting } from './host-context.ts';
import { type HostRecord, type InstalledKey, readHostRecord } from './host-record.ts';
import { type Outlook, outlookOf } from './renewal/outlook.ts';
import { readRenewalRecord } from './renewal/renewal-record.ts';
import { seeKey } from './renewal/sighting.ts';
import { type Served, findServed } from './served-check.ts';

export type KeyFault =
  | 'certificate-missing' // no readable certificate at its place
  | 'another-key' // the certificate is for another key: the host key was made anew
  | 'certificate-expired'
  | 'certificate-not-yet-valid'
  | 'certificate-untrusted' // not by a pinned host CA, or damaged
  | 'not-served' // sshd runs and shows something else
  | 'sshd-not-answering';

export interface KeyStatus {
  readonly key: InstalledKey;
  readonly certificate: Certificate | undefined;
  readonly served: Served | undefined;
  readonly fault: KeyFault | undefined;
  readonly outlook: Outlook;
}

export interface HostStatus {
  readonly record: HostRecord;
  readonly keys: readonly KeyStatus[];
  readonly following: FollowingStatus;
  /** Files of ours that are missing or changed. */
  readonly changedFiles: readonly string[];
}

/** @returns undefined when nothing is installed */
export async function readHostStatus(
  context: HostContext,
  authority: Authority,
  now: bigint,
): Promise<HostStatus | undefined> {
  const record = await readHostRecord(context.stateDirectory);
  if (record === undefined) return undefined;
  const trusted = fingerprintsOf(authority.hostCaKeys);
  const memories = await readRenewalRecord(context.stateDirectory);
  const keys: KeyStatus[] = [];
  for (const key of record.keys) {
    const seen = await seeKey(context.stateDirectory, key, memories);
    const outlook = outlookOf(seen.current, seen.memory, now);
    keys.push({ ...(await readKeyStatus(context, key, trusted, now)), outlook });
  }
  const { stateDirectory, settings } = context;
  const following = await readFollowingStatus(stateDirectory, authority, record, settings.revokedKeys);
  return { record, keys, following, changedFiles: await findChangedFiles(record) };
}

export async function findChangedFiles(record: HostRecord): Promise<string[]> {
  const changed: string[] = [];
  for (const { path, sha256 } of record.files) {
    const present = await readExisting(path);
    if (present === undefined || hash('sha256', present.content, 'hex') !== sha256) changed.push(path);
  }
  return changed;
}

async function readKeyStatus(
  { settings }: HostContext,
  key: InstalledKey,
  trusted: ReadonlySet<Fingerprint>,
  now: bigint,
): Promise<Omit<KeyStatus, 'outlook'>> {
  const certificate = await readCertificateFile(key.certificate);
  if (certificate === undefined) return { key, certificate, served: undefined, fault: 'certificate-missing' };
  const served = await findServed(settings, certificate);
  return { key, certificate, served, fault: findFault(key, certificate, trusted, now) ?? servedFault(served) };
}

function findFault(
  key: InstalledKey,
  certificate: Certificate,
  trustedCas: ReadonlySet<Fingerprint>,
  now: bigint,
): KeyFault | undefined {
  if (fingerprintOf(encodePublicKey(certificate.key)) !== key.fingerprint) return 'another-key';
  const fault = findCertificateFault(certificate, { type: 'host', now, trustedCas });
  if (fault === undefined) return undefined;
  if (fault === 'expired') return 'certificate-expired';
  return fault === 'not-yet-valid' ? 'certificate-not-yet-valid' : 'certificate-untrusted';
}

function servedFault(served: Served): KeyFault | undefined {
  if (served === 'not-answering') return 'sshd-not-answering';
  return served === 'other' ? 'not-served' : undefined;
}
