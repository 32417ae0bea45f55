/**
 * The KRL on the disk: a copy in the state directory (`host/krl`), and the file that sshd reads at each login. sshd refuses every key
 * while its KRL is missing or unreadable, so that file is only ever replaced by a rename, is there before sshd is told of it, and goes
 * after sshd was told to forget it; a damaged one is made good from the copy, without the CA. Does I/O.
 */
import { hash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FormatError } from '#openssh/format-error.ts';
import { decodeKrl } from '#openssh/krl.ts';
import { systemErrorCode, systemErrorReason } from '../../failure.ts';
import { writeDurably } from '../../state/durable-file.ts';
import { removeLeftovers } from '../../state/leftovers.ts';
import { unusable } from '../../state/state-directory.ts';
import { HostError } from '../host-error.ts';
import { hostDirectory } from '../host-record.ts';
import type { FollowingRecord } from './following-record.ts';

export const KRL_NAME = 'countersign_revoked_keys';
/** Public; and sshd may check keys as another user than root. */
const PUBLIC_MODE = 0o644;

export interface HeldKrl {
  readonly bytes: Uint8Array;
  readonly number: bigint;
}

/** Beside the configuration: there when sshd is, whatever else is mounted. */
export function krlPathFor(sshdConfigPath: string): string {
  return join(dirname(sshdConfigPath), KRL_NAME);
}

function copyPath(stateDirectory: string): string {
  return join(hostDirectory(stateDirectory), 'krl');
}

/** The newest that is here: the copy, or what sshd reads if the copy is lost. Undefined when there is none that can be read. */
export async function readHeldKrl(stateDirectory: string, following: FollowingRecord): Promise<HeldKrl | undefined> {
  const copy = await readKrl(copyPath(stateDirectory), following);
  const installed = following.krlPath === null ? undefined : await readKrl(following.krlPath, following);
  if (copy === undefined || installed === undefined) return copy ?? installed;
  return installed.number > copy.number ? installed : copy;
}

/** Undefined for a file that is missing, unreadable, or no KRL. */
export async function readKrl(path: string, following: FollowingRecord): Promise<HeldKrl | undefined> {
  try {
    const bytes = await readFile(path);
    return { bytes, number: numberOf(bytes, following) };
  } catch (error) {
    if (error instanceof FormatError || systemErrorCode(error) !== undefined) return undefined;
    throw error;
  }
}

/** Known bytes are not read once more: a large KRL takes a small device its time. @throws FormatError */
function numberOf(bytes: Uint8Array, { krl }: FollowingRecord): bigint {
  if (krl !== null && krl.sha256 === hash('sha256', bytes, 'hex')) return BigInt(krl.number);
  return decodeKrl(bytes).number;
}

/** @throws StateError `state-unusable` */
export async function storeKrlCopy(stateDirectory: string, bytes: Uint8Array): Promise<void> {
  const path = copyPath(stateDirectory);
  await writeDurably(path, bytes, 0o600).catch((cause: unknown) => {
    throw unusable(path, cause);
  });
}

/** Puts `bytes` where sshd reads them, unless they are there. @returns whether that changed anything @throws HostError `not-writable` */
export async function placeKrl(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await removeLeftovers([dirname(path)], basename(path));
    const present = await readFile(path).catch(() => undefined);
    if (present !== undefined && Buffer.compare(present, bytes) === 0) return false;
    await writeDurably(path, bytes, PUBLIC_MODE);
    return true;
  } catch (cause) {
    if (systemErrorCode(cause) === undefined) throw cause;
    throw new HostError('not-writable', `${path} cannot be written: ${systemErrorReason(cause)}`, {
      cause,
      advice:
        'sshd goes on with the revocations that it has. Make room or make it writable, then: countersign host renew',
    });
  }
}

/** Only after sshd was told to forget it. */
export async function removeKrl(path: string): Promise<void> {
  await removeLeftovers([dirname(path)], basename(path));
  await rm(path, { force: true });
}
