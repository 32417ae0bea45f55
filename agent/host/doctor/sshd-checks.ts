/** Checks of sshd: its configuration, its host keys, whether it answers on every address of this machine, and who is trusted to log in. */
import { stat } from 'node:fs/promises';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { type PublicKey, encodePublicKey } from '#openssh/public-key.ts';
import { systemErrorReason } from '../../failure.ts';
import { type Authority, fingerprintsOf } from '../../state/authority.ts';
import { plainAlgorithms } from '../certificate-algorithm.ts';
import type { HostContext } from '../host-context.ts';
import { type HostKey, readHostKeys } from '../host-key.ts';
import { allowsCertificate } from '../key-choice.ts';
import { readKeyLines } from '../key-lines.ts';
import { localAddresses } from '../machine-identity.ts';
import { formatHostPort, probeHostKey } from '../served-key.ts';
import { type Endpoint, localEndpoints } from '../sshd-settings.ts';
import { findingOf } from './failure-finding.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const OTHERS_MAY_WRITE = 0o022;

export async function checkSshd(context: HostContext, authority: Authority | undefined): Promise<Finding[]> {
  const { keys, unusable } = await readHostKeys(context.settings);
  const left = unusable.map(({ path, reason }) =>
    warn('host-keys', `${path} cannot be used: ${reason}`, 'Make missing keys with ssh-keygen -A, and run as root.'),
  );
  return [
    await checkConfig(context),
    keysFinding(keys, context),
    ...left,
    ...(await checkPermissions(keys)),
    ...(await checkAnswers(context, keys[0]?.publicKey)),
    ...(await checkUserTrust(context, authority)),
  ];
}

async function checkConfig({ sshd }: HostContext): Promise<Finding> {
  const fault = await sshd.findConfigFault();
  if (fault === undefined) return ok('sshd-config', `${sshd.configPath} is accepted by sshd`);
  return fail('sshd-config', `sshd does not accept its configuration: ${fault}`, 'Repair it before sshd is restarted.');
}

function keysFinding(keys: readonly HostKey[], { settings }: HostContext): Finding {
  if (keys.length === 0)
    return fail('host-keys', 'sshd has no host key that can be enrolled', 'ssh-keygen -A, as root');
  const allowed = keys.filter((key) => allowsCertificate(key, settings));
  if (allowed.length > 0)
    return ok('host-keys', `${allowed.length} of ${keys.length} host keys can have a certificate`);
  const advice = 'Take HostKeyAlgorithms out of sshd_config, or add the -cert-v01@openssh.com names.';
  return fail('host-keys', 'HostKeyAlgorithms of sshd leaves host certificates out', advice);
}

/** sshd refuses private keys that others can read; a key that others can replace is worse. */
async function checkPermissions(keys: readonly HostKey[]): Promise<Finding[]> {
  const findings = await Promise.all(keys.filter(({ holder }) => holder === 'file').map(checkKeyFile));
  return findings.flat();
}

async function checkKeyFile({ path }: HostKey): Promise<Finding[]> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return [];
  return [fail('host-key-permissions', `others may read or write ${path}`, `chmod 600 ${path}`)];
}

/** Every address of this machine on which sshd listens, as the CA will dial it, and the local ones. */
async function checkAnswers({ settings }: HostContext, key: PublicKey | undefined): Promise<Finding[]> {
  if (key === undefined) return [];
  const own = localAddresses(settings).flatMap((address) => settings.ports.map((port) => ({ address, port })));
  const local = localEndpoints(settings).filter(({ address }) => !own.some((endpoint) => endpoint.address === address));
  return Promise.all([...own, ...local.slice(0, 1)].map(async (endpoint) => checkAnswer(endpoint, key)));
}

async function checkAnswer(endpoint: Endpoint, key: PublicKey): Promise<Finding> {
  const where = formatHostPort(endpoint.address, endpoint.port);
  try {
    const served = await probeHostKey(endpoint, plainAlgorithms(key.type));
    const same = served !== undefined && fingerprintOf(served.blob) === fingerprintOf(encodePublicKey(key));
    if (same) return ok('sshd-answers', `sshd answers on ${where} with its host key`);
    const advice = 'Another sshd, or one started before the key was made: systemctl reload ssh, or --sshd-config FILE.';
    return fail('sshd-answers', `what answers on ${where} has another host key than the configuration`, advice);
  } catch (error) {
    return findingOf('sshd-answers', error, 'Check that sshd runs.');
  }
}

async function checkUserTrust({ settings }: HostContext, authority: Authority | undefined): Promise<Finding[]> {
  const path = settings.trustedUserCaKeys;
  if (path === undefined || authority === undefined || authority.userCaKeys.length === 0) return [];
  try {
    const trusted = fingerprintsOf(await readKeyLines(path));
    const { mode } = await stat(path);
    if ((mode & OTHERS_MAY_WRITE) !== 0) {
      return [fail('user-ca', `others may write to ${path}: they decide who logs in`, `chmod 644 ${path}`)];
    }
    if (fingerprintsOf(authority.userCaKeys).isSubsetOf(trusted)) return [ok('user-ca', `${path} has the user CA`)];
    const advice = `Add its key to ${path} if its users shall log in.`;
    return [warn('user-ca', `${path} does not have the user CA of ${authority.url}`, advice)];
  } catch (error) {
    return [
      fail('user-ca', `${path} cannot be read: ${systemErrorReason(error)}`, 'sshd accepts no user certificate so.'),
    ];
  }
}
