/** How far this host follows its CA: for people who look. Does I/O and changes nothing. */
import type { Authority } from '../../state/authority.ts';
import type { HostRecord } from '../host-record.ts';
import { type FollowingRecord, readFollowing } from './following-record.ts';
import { readKrl } from './krl-files.ts';
import { type Standing, readStanding } from './standing.ts';

/**
 * Of the file that sshd reads at each login. `other-file`: somebody set RevokedKeys to another one. `not-wanted`: no user CA of ours is
 * trusted. `none`: none came yet. `unreadable`: sshd refuses every key.
 */
export type KrlState = 'in-use' | 'other-file' | 'not-wanted' | 'none' | 'unreadable';

export interface FollowingStatus {
  readonly standing: Standing;
  /** Of the list of CA keys that was taken last; undefined: still those of the first contact. */
  readonly trustNumber: number | undefined;
  readonly krlState: KrlState;
  /** Of the KRL that was taken last. */
  readonly krl: FollowingRecord['krl'];
  /** Epoch seconds; undefined: never. */
  readonly askedAt: bigint | undefined;
  /** The stable code of why the last attempt failed. */
  readonly failure: string | undefined;
}

/** @param revokedKeys the effective setting of sshd */
export async function readFollowingStatus(
  stateDirectory: string,
  authority: Authority,
  record: HostRecord,
  revokedKeys: string | undefined,
): Promise<FollowingStatus> {
  const following = await readFollowing(stateDirectory);
  return {
    standing: await readStanding(stateDirectory, authority, record),
    trustNumber: authority.trustNumber,
    krlState: await findKrlState(following, record, revokedKeys),
    krl: following.krl,
    askedAt: following.askedAt === 0 ? undefined : BigInt(following.askedAt),
    failure: following.failure ?? undefined,
  };
}

async function findKrlState(
  following: FollowingRecord,
  record: HostRecord,
  revokedKeys: string | undefined,
): Promise<KrlState> {
  const own = record.revokedKeys ?? null;
  if (own !== null && own === revokedKeys)
    return (await readKrl(own, following)) === undefined ? 'unreadable' : 'in-use';
  if (record.userTrust === null) return 'not-wanted';
  return revokedKeys === undefined ? 'none' : 'other-file';
}
