/**
 * What the host remembers of following its CA: `host/following.json` in the state directory. Losing it costs one download too many: the KRL
 * itself lies beside it, and the number of the trust document in `authority.json`.
 */
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { readJsonFile, writeJsonFile } from '../../state/json-file.ts';
import { StateError } from '../../state/state-error.ts';
import { hostDirectory } from '../host-record.ts';

const TextOrNull = Type.Union([Type.String({ maxLength: 1024 }), Type.Null()]);

export const FollowingRecord = Type.Object({
  version: Type.Literal(1),
  /** When the CA was last asked and answered, epoch seconds; 0: never. */
  askedAt: Type.Integer({ minimum: 0 }),
  /** When to ask again, epoch seconds. */
  nextAt: Type.Integer({ minimum: 0 }),
  /** Attempts that failed in a row. */
  failures: Type.Integer({ minimum: 0 }),
  /** Why the last of them failed: the stable code. */
  failure: TextOrNull,
  /** Of the KRL that was taken last. */
  krl: Type.Union([
    Type.Object({
      number: Type.String({ pattern: '^[0-9]{1,20}$' }),
      /** Hex, of the bytes. */
      sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
      etag: TextOrNull,
      /** When it was taken, epoch seconds. */
      takenAt: Type.Integer({ minimum: 0 }),
      serials: Type.String({ pattern: '^[0-9]{1,20}$' }),
      keys: Type.Integer({ minimum: 0 }),
      /** Of the first contact (`authority.json`) that it was taken under: after another one, numbers begin anew. */
      pinnedAt: Type.String({ maxLength: 64 }),
    }),
    Type.Null(),
  ]),
  /** The file for sshd that we made, whether sshd is told of it or not. */
  krlPath: TextOrNull,
});
export type FollowingRecord = Static<typeof FollowingRecord>;

export const nothingFollowed: FollowingRecord = {
  version: 1,
  askedAt: 0,
  nextAt: 0,
  failures: 0,
  failure: null,
  krl: null,
  krlPath: null,
};

/** A damaged one counts as lost. @throws StateError `state-unusable` */
export async function readFollowing(stateDirectory: string): Promise<FollowingRecord> {
  try {
    return (await readJsonFile(followingPath(stateDirectory), FollowingRecord)) ?? nothingFollowed;
  } catch (error) {
    if (error instanceof StateError && error.code === 'state-damaged') return nothingFollowed;
    throw error;
  }
}

/** @throws StateError */
export async function writeFollowing(stateDirectory: string, record: FollowingRecord): Promise<void> {
  await writeJsonFile(followingPath(stateDirectory), FollowingRecord, record);
}

function followingPath(stateDirectory: string): string {
  return join(hostDirectory(stateDirectory), 'following.json');
}
