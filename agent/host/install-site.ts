/** What is on the disk where an install will write, gathered for `install-plan.ts`, and the final plan with the record in it. */
import type { Certificate } from '#openssh/certificate.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { equalBytes } from '#openssh/wire.ts';
import { type Authority, fingerprintsOf } from '../state/authority.ts';
import { readCertificateFile } from './certificate-file.ts';
import { missingDirectories } from './file-transaction.ts';
import { readFollowing } from './following/following-record.ts';
import { krlPathFor, readKrl } from './following/krl-files.ts';
import { type HostContext, readConfigText, readExisting, resolveTarget } from './host-context.ts';
import { HostError } from './host-error.ts';
import { type HostKey, certificatePathOf } from './host-key.ts';
import { type HostRecord, formatHostRecord, hostRecordPath, readHostRecord } from './host-record.ts';
import { type ExistingFile, type InstallPlan, dropInPath, planInstall, userTrustPath } from './install-plan.ts';
import { readKeyLines } from './key-lines.ts';
import { type ConfigText, certificatesNamedIn, decodeConfig, includedDirectories } from './sshd-config-text.ts';

export interface EnrolledKey {
  readonly key: HostKey;
  readonly certificate: Certificate;
  /** Taken from an earlier run whose install did not come to its end, or which changed nothing. */
  readonly reused: boolean;
}

export interface InstallSite {
  readonly record: HostRecord | undefined;
  readonly sshdConfig: { readonly path: string; readonly text: ConfigText };
  readonly dropInDirectory: string | undefined;
  /** Certificate files that sshd is told of by lines that are not ours. */
  readonly foreignCertificates: readonly string[];
  /** Where the certificate of each key goes, by path of the key. */
  readonly certificatePaths: ReadonlyMap<string, string>;
  /** Whether sshd shall take user certificates of this CA. */
  readonly trustUsers: boolean;
  /** Where the KRL of this CA lies, or would, for sshd to be told of it; null where it has another one or takes no user certificates. */
  readonly revokedKeys: string | null;
  /** Every path that may be written, besides our own record. */
  readonly targets: readonly string[];
  readonly remarks: readonly string[];
}

export interface InstallChoice {
  /** Let sshd take user certificates of this CA, where no other user CA is configured. */
  readonly trustUsers: boolean;
  /** Let sshd refuse what this CA revoked, where sshd takes its user certificates; default: as `trustUsers`. */
  readonly refuseRevoked?: boolean;
  /** Another CA's certificate for the same key. */
  readonly replace: boolean;
}

/** As it was decided at the enrolment. */
export function choiceOf({ userTrust, revokedKeys = null }: HostRecord): InstallChoice {
  return { trustUsers: userTrust !== null, refuseRevoked: userTrust !== null || revokedKeys !== null, replace: false };
}

/** @throws HostError `foreign-certificate` */
export async function findInstallSite(
  context: HostContext,
  authority: Authority,
  keys: readonly HostKey[],
  options: InstallChoice,
): Promise<InstallSite> {
  const record = await readHostRecord(context.stateDirectory);
  const sshdConfig = { path: context.sshd.configPath, text: await readConfigText(context.sshd) };
  const [dropInDirectory] = includedDirectories(sshdConfig.text);
  const foreignCertificates = await findForeignCertificates(context, record, sshdConfig.text);
  const certificatePaths = await findCertificatePaths(keys, foreignCertificates, record, options.replace);
  const trust = decideUserTrust(context, authority, record, options.trustUsers);
  const { trustUsers, refuseRevoked = trustUsers } = options;
  const takesOurs = trust.wanted || (refuseRevoked && (await trustsElsewhere(context, authority, record)));
  const revocation = takesOurs ? decideRevocation(context, record) : { path: null, remarks: [] };
  const dropIn = record?.dropIn.path ?? (dropInDirectory === undefined ? sshdConfig.path : dropInPath(dropInDirectory));
  const own = [...certificatePaths.values(), dropIn];
  return {
    record,
    sshdConfig,
    dropInDirectory,
    foreignCertificates,
    certificatePaths,
    trustUsers: trust.wanted,
    revokedKeys: revocation.path,
    targets: trust.wanted ? [...own, userTrustPath(sshdConfig.path)] : own,
    remarks: [...trust.remarks, ...revocation.remarks, ...remarkOnBlock(dropInDirectory, sshdConfig.path)],
  };
}

/** The plan for certificates at hand; the record of it is among the changes. */
export async function planFor(
  context: HostContext,
  authority: Authority,
  site: InstallSite,
  enrolled: readonly EnrolledKey[],
  identity: { readonly names: readonly string[]; readonly addresses: readonly string[]; readonly port: number },
): Promise<InstallPlan> {
  const existing = await readAllExisting([
    ...site.targets,
    hostRecordPath(context.stateDirectory),
    ...(site.record?.files ?? []).map(({ path }) => path),
  ]);
  const { names, addresses, port } = identity;
  const plan = planInstall({
    authorityUrl: authority.url,
    sshd: context.recorded,
    userCaKeys: site.trustUsers ? authority.userCaKeys : [],
    revokedKeys: await readyKrl(context, site),
    certificates: enrolled.map(({ key, certificate }) => ({
      key: {
        path: key.path,
        fingerprint: key.fingerprint,
        certificate: certificatePath(site, key),
        names: [...names],
        addresses: [...addresses],
        port,
      },
      certificate,
    })),
    hostKeys: context.settings.hostKeys,
    missingDirectories: site.dropInDirectory === undefined ? [] : await missingDirectories(site.dropInDirectory),
    record: site.record,
    sshdConfig: site.sshdConfig,
    dropInDirectory: site.dropInDirectory,
    foreignCertificates: site.foreignCertificates,
    existing,
  });
  const record = { path: hostRecordPath(context.stateDirectory), content: formatHostRecord(plan.record), mode: 0o600 };
  return { ...plan, changes: [...plan.changes, record] };
}

function certificatePath(site: InstallSite, { path }: HostKey): string {
  const found = site.certificatePaths.get(path);
  if (found === undefined) throw new TypeError('a key that the site was not made for');
  return found;
}

async function findForeignCertificates(
  { settings }: HostContext,
  record: HostRecord | undefined,
  configText: ConfigText,
): Promise<string[]> {
  if (record === undefined) return [...settings.hostCertificates];
  const dropIn =
    record.dropIn.kind === 'block'
      ? configText
      : decodeConfig((await readExisting(record.dropIn.path))?.content ?? new Uint8Array());
  const own = certificatesNamedIn(dropIn, record.dropIn.kind);
  return settings.hostCertificates.filter((path) => !takeOne(own, path));
}

/** Takes one occurrence of `value` out of `from`: the same file may be named twice, once by us. */
function takeOne(from: string[], value: string): boolean {
  const index = from.indexOf(value);
  if (index !== -1) from.splice(index, 1);
  return index !== -1;
}

/** Beside the key; or where somebody else's line already has sshd read the certificate of this key. */
async function findCertificatePaths(
  keys: readonly HostKey[],
  foreign: readonly string[],
  record: HostRecord | undefined,
  replace: boolean,
): Promise<Map<string, string>> {
  const paths = new Map<string, string>();
  for (const key of keys) {
    const configured = await findConfigured(key, foreign);
    const ours = record?.files.some(({ path }) => path === configured) === true;
    if (configured !== undefined && !ours && !replace) throw foreignError(key, configured);
    paths.set(key.path, await resolveTarget(configured ?? certificatePathOf(key.path)));
  }
  return paths;
}

/** The last one counts for sshd. */
async function findConfigured(key: HostKey, foreign: readonly string[]): Promise<string | undefined> {
  for (const path of foreign.toReversed()) {
    const certificate = await readCertificateFile(path);
    if (certificate !== undefined && equalBytes(encodePublicKey(certificate.key), key.blob)) return path;
  }
  return undefined;
}

function foreignError(key: HostKey, path: string): HostError {
  return new HostError('foreign-certificate', `sshd has a certificate for ${key.path} already, not from us: ${path}`, {
    advice:
      'With --replace the new certificate is written there in its place; `countersign host remove` brings the old one back.',
  });
}

function decideUserTrust(
  { settings, sshd }: HostContext,
  authority: Authority,
  record: HostRecord | undefined,
  wished: boolean,
): { readonly wanted: boolean; readonly remarks: readonly string[] } {
  if (!wished || authority.userCaKeys.length === 0) return { wanted: false, remarks: [] };
  const current = settings.trustedUserCaKeys;
  const ours = current === undefined || (record?.userTrust ?? null) === current;
  if (ours) {
    const what = `sshd will accept user certificates of ${authority.url} (TrustedUserCAKeys ${userTrustPath(sshd.configPath)})`;
    return { wanted: true, remarks: current === undefined ? [`${what}; --no-trust-users leaves that out`] : [] };
  }
  const remark = `TrustedUserCAKeys is set to ${current} already and stays: user certificates of this CA are not accepted unless its key is added there`;
  return { wanted: false, remarks: [remark] };
}

/** Whether the file of user CA keys that somebody else set has one of this CA, or had one when the KRL was installed. */
async function trustsElsewhere(
  { settings: { trustedUserCaKeys } }: HostContext,
  authority: Authority,
  record: HostRecord | undefined,
): Promise<boolean> {
  if (trustedUserCaKeys === undefined) return false;
  if ((record?.revokedKeys ?? null) !== null) return true;
  const keys = await readKeyLines(trustedUserCaKeys).catch(() => []); // sshd takes nobody by it either
  return !fingerprintsOf(keys).isDisjointFrom(fingerprintsOf(authority.userCaKeys));
}

function decideRevocation(
  { settings, sshd }: HostContext,
  record: HostRecord | undefined,
): { readonly path: string | null; readonly remarks: readonly string[] } {
  const current = settings.revokedKeys;
  if (current === undefined || current === (record?.revokedKeys ?? null)) {
    return { path: krlPathFor(sshd.configPath), remarks: [] };
  }
  const remark = `RevokedKeys is set to ${current} already and stays: what this CA revokes is not refused by sshd unless its KRL is put there`;
  return { path: null, remarks: [remark] };
}

function remarkOnBlock(dropInDirectory: string | undefined, configPath: string): string[] {
  if (dropInDirectory !== undefined) return [];
  return [
    `${configPath} has no Include of a directory in front of its Match blocks: a marked block is put at its top instead of a drop-in`,
  ];
}

/** sshd refuses every key when the KRL that it is told of is not there. */
async function readyKrl({ stateDirectory }: HostContext, { revokedKeys }: InstallSite): Promise<string | null> {
  if (revokedKeys === null) return null;
  return (await readKrl(revokedKeys, await readFollowing(stateDirectory))) === undefined ? null : revokedKeys;
}

async function readAllExisting(paths: readonly string[]): Promise<Map<string, ExistingFile>> {
  const found = await Promise.all([...new Set(paths)].map(async (path) => [path, await readExisting(path)] as const));
  return new Map(found.flatMap(([path, file]) => (file === undefined ? [] : [[path, file] as const])));
}
