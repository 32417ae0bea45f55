/**
 * What this host really trusts now, read from the files that sshd reads: what it reports to its CA (protocol/status.ts). A key that was
 * taken over and is not installed yet is not reported, so that a rotation waits for it. Does I/O and changes nothing.
 */
import { hash } from 'node:crypto';
import { FormatError } from '#openssh/format-error.ts';
import type { StatusReport } from '#protocol/status.ts';
import { systemErrorCode } from '../../failure.ts';
import { type Authority, fingerprintsOf } from '../../state/authority.ts';
import type { HostRecord } from '../host-record.ts';
import { readKeyLines } from '../key-lines.ts';
import { readFollowing } from './following-record.ts';
import { readKrl } from './krl-files.ts';

export type Standing = Pick<StatusReport, 'trustedHostCas' | 'trustedUserCas' | 'krlNumber'>;

export async function readStanding(
  stateDirectory: string,
  authority: Authority,
  record: HostRecord,
): Promise<Standing> {
  const path = record.revokedKeys ?? null;
  const krl = path === null ? undefined : await readKrl(path, await readFollowing(stateDirectory));
  return {
    trustedHostCas: [...fingerprintsOf(authority.hostCaKeys)].toSorted(),
    trustedUserCas: await readUserCas(record.userTrust),
    krlNumber: String(krl?.number ?? 0n),
  };
}

/** As sshd, which takes nobody when it cannot read the file. */
async function readUserCas(path: string | null): Promise<string[]> {
  if (path === null) return [];
  try {
    return [...fingerprintsOf(await readKeyLines(path))].toSorted();
  } catch (error) {
    if (error instanceof FormatError || systemErrorCode(error) !== undefined) return [];
    throw error;
  }
}

/** Changes whenever the CA has to be told anew. */
export function claimsOf({ trustedHostCas, trustedUserCas, krlNumber }: Standing): string {
  return hash('sha256', JSON.stringify([trustedHostCas, trustedUserCas, krlNumber]), 'hex').slice(0, 32);
}
