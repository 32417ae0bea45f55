/**
 * What the agent installed on this host, and what was there before: `host/host.json` in the state directory. It is written in the
 * same transaction as the files that it describes, so that it is always true.
 */
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { formatJson, readJsonFile } from '../state/json-file.ts';

const Original = Type.Object({
  /** base64 */
  content: Type.String({ maxLength: 1024 * 1024 }),
  mode: Type.Integer({ minimum: 0, maximum: 0o7777 }),
});

const InstalledKey = Type.Object({
  /** As `HostKey` in sshd's configuration names it. */
  path: Type.String(),
  fingerprint: Type.String(),
  certificate: Type.String(),
  names: Type.Array(Type.String()),
  addresses: Type.Array(Type.String()),
  port: Type.Integer(),
});

const InstalledFile = Type.Object({
  path: Type.String(),
  /** Of what we wrote, in hex. */
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  /** What was there before our first change; null for nothing. */
  original: Type.Union([Original, Type.Null()]),
});

const TextOrNull = Type.Union([Type.String(), Type.Null()]);

/** The sshd of the enrolment: later commands work on the same one. */
const RecordedSshd = Type.Object({
  /** The file that was configured, symbolic links resolved. */
  configPath: Type.String(),
  /** The options that were given; null for none. */
  sshd: TextOrNull,
  sshdConfig: TextOrNull,
  reload: TextOrNull,
});

export const HostRecord = Type.Object({
  version: Type.Literal(1),
  authority: Type.String(),
  sshd: RecordedSshd,
  /** `file`: a drop-in of our own; `block`: a marked block in a configuration that includes no drop-ins. */
  dropIn: Type.Object({ kind: Type.Union([Type.Literal('file'), Type.Literal('block')]), path: Type.String() }),
  keys: Type.Array(InstalledKey),
  /** The TrustedUserCAKeys file that we wrote. */
  userTrust: TextOrNull,
  /** The KRL that our RevokedKeys line names; absent in records of before there was one. The file is not among `files`: see following/. */
  revokedKeys: Type.Optional(TextOrNull),
  /** Whole files of ours; the configuration with a block in it is not among them. */
  files: Type.Array(InstalledFile),
  /** Directories that we made, outermost first. */
  directories: Type.Array(Type.String()),
});
export type HostRecord = Static<typeof HostRecord>;
export type RecordedSshd = Static<typeof RecordedSshd>;
export type InstalledKey = Static<typeof InstalledKey>;
export type InstalledFile = Static<typeof InstalledFile>;

/** Journal, record, lock and issued certificates of the host. */
export function hostDirectory(stateDirectory: string): string {
  return join(stateDirectory, 'host');
}

export function hostRecordPath(stateDirectory: string): string {
  return join(hostDirectory(stateDirectory), 'host.json');
}

/** @returns undefined when nothing is installed @throws StateError */
export async function readHostRecord(stateDirectory: string): Promise<HostRecord | undefined> {
  return readJsonFile(hostRecordPath(stateDirectory), HostRecord);
}

export function formatHostRecord(record: HostRecord): string {
  return formatJson(HostRecord, record);
}
