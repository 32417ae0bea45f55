/** Which certificates of this host there are on the disk, for each key of the record. Does I/O and changes nothing. */
import type { Certificate } from '#openssh/certificate.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { equalBytes } from '#openssh/wire.ts';
import { readCertificateFile } from '../certificate-file.ts';
import type { InstalledKey } from '../host-record.ts';
import { readIssued } from '../issued-store.ts';
import { isOfKey } from './ca-conversation.ts';
import type { KeyMemory } from './renewal-record.ts';
import { nothingYet } from './renewal-record.ts';

export interface SeenKey {
  readonly key: InstalledKey;
  readonly memory: KeyMemory;
  /** The newest one; undefined when there is none for this key. */
  readonly current: Certificate | undefined;
  readonly isInstalled: boolean;
}

export async function seeKey(
  stateDirectory: string,
  key: InstalledKey,
  memories: ReadonlyMap<string, KeyMemory>,
): Promise<SeenKey> {
  const own = (certificate: Certificate | undefined) =>
    certificate !== undefined && isOfKey(certificate, key.fingerprint) ? certificate : undefined;
  const installed = own(await readCertificateFile(key.certificate));
  const current = newest(own(await readIssued(stateDirectory, key.fingerprint as Fingerprint)), installed);
  const isInstalled = current !== undefined && installed !== undefined && equalBytes(current.blob, installed.blob);
  return { key, memory: memories.get(key.fingerprint) ?? nothingYet, current, isInstalled };
}

/** A certificate is stored before it is installed: the stored one is the newer one, unless the state came out of a backup. */
export function newest(stored: Certificate | undefined, installed: Certificate | undefined): Certificate | undefined {
  if (stored === undefined || installed === undefined) return stored ?? installed;
  return installed.validAfter > stored.validAfter ? installed : stored;
}
