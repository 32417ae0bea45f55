/**
 * What to write where, so that sshd serves the new certificates: decided from what is there. Pure.
 *
 * The drop-in names certificates, and no keys: as soon as one `HostKey` line exists, sshd forgets its default keys, so a drop-in
 * with some of them would take the others away, and one with all of them would freeze a list that the system owns. `HostCertificate`
 * needs no `HostKey` beside it: sshd finds the key by the public key inside the certificate, whether the key is configured or default.
 * A certificate file that is missing or damaged costs a line in sshd's log and the certificate, never the start of sshd.
 *
 * `TrustedUserCAKeys` and `RevokedKeys` hold one file each, and the first that sshd reads wins: they are written only where nobody set
 * them before. The file that `RevokedKeys` names is no part of the plan: it has to be there at every moment, before and after (following/).
 */
import { hash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import type { Certificate } from '#openssh/certificate.ts';
import { keyTypes } from '#openssh/key-type.ts';
import { type PublicKey, formatPublicKeyLine } from '#openssh/public-key.ts';
import type { FileChange } from './file-transaction.ts';
import type { HostRecord, InstalledFile, InstalledKey, RecordedSshd } from './host-record.ts';
import { type ConfigText, configArgument, encodeConfig, withBlock } from './sshd-config-text.ts';

export const DROP_IN_NAME = '50-countersign.conf';
export const USER_TRUST_NAME = 'countersign_user_ca.pub';
const PUBLIC_MODE = 0o644;

export interface ExistingFile {
  readonly content: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
}

export interface NewCertificate {
  readonly key: InstalledKey;
  readonly certificate: Certificate;
}

export interface InstallFacts {
  readonly authorityUrl: string;
  readonly sshd: RecordedSshd;
  /** Trusted for logins; empty: change nothing about logins. */
  readonly userCaKeys: readonly PublicKey[];
  /** A KRL that is in place; null: sshd is told of none. */
  readonly revokedKeys: string | null;
  readonly certificates: readonly NewCertificate[];
  /** From an earlier enrolment. */
  readonly record: HostRecord | undefined;
  /** Paths that `HostKey` names now: certificates of other keys are forgotten. */
  readonly hostKeys: readonly string[];
  /** Certificate files that sshd is told of by lines that are not ours. */
  readonly foreignCertificates: readonly string[];
  readonly sshdConfig: { readonly path: string; readonly text: ConfigText };
  /** A directory whose `*.conf` sshd includes; undefined: a block goes into the configuration itself. */
  readonly dropInDirectory: string | undefined;
  /** The present content of every path that may be written; absent from the map: there is no such file. */
  readonly existing: ReadonlyMap<string, ExistingFile>;
  /** Directories that have to be made, outermost first. */
  readonly missingDirectories: readonly string[];
}

export interface InstallPlan {
  /** Only real changes, certificates first and the configuration last: what it names exists at every moment. */
  readonly changes: readonly FileChange[];
  readonly record: HostRecord;
  /** sshd's configuration lines, for showing. */
  readonly directives: readonly string[];
}

export function userTrustPath(sshdConfigPath: string): string {
  return join(dirname(sshdConfigPath), USER_TRUST_NAME);
}

export function dropInPath(dropInDirectory: string): string {
  return join(dropInDirectory, DROP_IN_NAME);
}

export function planInstall(facts: InstallFacts): InstallPlan {
  const keys = mergeKeys(facts);
  const userTrust = facts.userCaKeys.length > 0 ? userTrustPath(facts.sshdConfig.path) : null;
  const directives = [
    ...keys.filter(({ certificate }) => !facts.foreignCertificates.includes(certificate)).map(certificateLine),
    ...(userTrust === null ? [] : [`TrustedUserCAKeys ${configArgument(userTrust)}`]),
    ...(facts.revokedKeys === null ? [] : [`RevokedKeys ${configArgument(facts.revokedKeys)}`]),
  ];
  const wanted = [
    ...facts.certificates.map(certificateFile),
    ...userTrustFile(facts, userTrust),
    dropIn(facts, directives),
  ];
  const unwanted = staleFiles(facts.record, [
    ...keys.map(({ certificate }) => certificate),
    ...wanted.map(({ path }) => path),
  ]);
  const changes = [...wanted, ...unwanted.map((file) => restoreChange(file))];
  const record: HostRecord = {
    version: 1,
    authority: facts.authorityUrl,
    sshd: facts.sshd,
    dropIn: dropInPlace(facts),
    keys,
    userTrust,
    revokedKeys: facts.revokedKeys,
    files: mergeFiles(facts, wanted, unwanted),
    directories: [...new Set([...(facts.record?.directories ?? []), ...facts.missingDirectories])],
  };
  return { changes: changes.filter((change) => isRealChange(change, facts.existing)), record, directives };
}

/** Newly certified keys, and those of before that sshd still has. */
function mergeKeys({ certificates, record, hostKeys }: InstallFacts): InstalledKey[] {
  const fresh = certificates.map(({ key }) => key);
  const paths = new Set(fresh.map(({ path }) => path));
  const kept = (record?.keys ?? []).filter(({ path }) => !paths.has(path) && hostKeys.includes(path));
  return [...fresh, ...kept];
}

function certificateLine({ certificate }: InstalledKey): string {
  return `HostCertificate ${configArgument(certificate)}`;
}

function certificateFile({ key, certificate }: NewCertificate): FileChange {
  const type = keyTypes[certificate.key.type].certificateType;
  const content = `${type} ${encodeBase64(certificate.blob)} ${key.names[0] ?? basename(key.path)}\n`;
  return { path: key.certificate, content, mode: PUBLIC_MODE };
}

function userTrustFile({ userCaKeys, authorityUrl }: InstallFacts, path: string | null): FileChange[] {
  if (path === null) return [];
  const lines = userCaKeys.map((key) => formatPublicKeyLine(key, `user CA of ${authorityUrl}`));
  return [{ path, content: `${lines.join('\n')}\n`, mode: PUBLIC_MODE }];
}

function dropInPlace(facts: InstallFacts): HostRecord['dropIn'] {
  if (facts.record !== undefined) return facts.record.dropIn;
  return facts.dropInDirectory === undefined
    ? { kind: 'block', path: facts.sshdConfig.path }
    : { kind: 'file', path: dropInPath(facts.dropInDirectory) };
}

function dropIn(facts: InstallFacts, directives: readonly string[]): FileChange {
  const { kind, path } = dropInPlace(facts);
  if (kind === 'block')
    return { path, content: encodeConfig(withBlock(facts.sshdConfig.text, directives)), mode: PUBLIC_MODE };
  const header = [
    `# Host certificates from ${facts.authorityUrl}, written by: countersign host enroll`,
    '# Taken away by: countersign host remove',
  ];
  return { path, content: `${[...header, ...directives].join('\n')}\n`, mode: PUBLIC_MODE };
}

/** Files of ours that nothing names any more. */
function staleFiles(record: HostRecord | undefined, inUse: readonly string[]): InstalledFile[] {
  return (record?.files ?? []).filter(({ path }) => !inUse.includes(path));
}

/** Puts back what was there before us. */
export function restoreChange({ path, original }: InstalledFile): FileChange {
  if (original === null) return { path, content: null, mode: PUBLIC_MODE };
  return { path, content: decodeBase64(original.content), mode: original.mode };
}

function mergeFiles(
  facts: InstallFacts,
  wanted: readonly FileChange[],
  unwanted: readonly InstalledFile[],
): InstalledFile[] {
  const block = dropInPlace(facts).kind === 'block' ? facts.sshdConfig.path : undefined;
  const written = wanted.filter(({ path }) => path !== block).map((change) => describeFile(change, facts));
  const gone = new Set([...written.map(({ path }) => path), ...unwanted.map(({ path }) => path)]);
  return [...written, ...(facts.record?.files ?? []).filter(({ path }) => !gone.has(path))];
}

/** What was there before our *first* change: an earlier record knows it better than the disk. */
function describeFile({ path, content }: FileChange, { record, existing }: InstallFacts): InstalledFile {
  const earlier = record?.files.find((file) => file.path === path);
  const present = existing.get(path);
  const original = present === undefined ? null : { content: encodeBase64(present.content), mode: present.mode };
  return {
    path,
    sha256: hash('sha256', content ?? '', 'hex'),
    original: earlier === undefined ? original : earlier.original,
  };
}

function isRealChange({ path, content }: FileChange, existing: ReadonlyMap<string, ExistingFile>): boolean {
  const present = existing.get(path);
  if (content === null || present === undefined) return (content === null) !== (present === undefined);
  return !Buffer.from(content).equals(present.content);
}

/** The configuration as sshd will read it, in one text, to have it checked before anything is in place. */
export function candidateConfig(plan: InstallPlan, sshdConfig: ConfigText): Uint8Array {
  return encodeConfig(withBlock(sshdConfig, plan.directives));
}
