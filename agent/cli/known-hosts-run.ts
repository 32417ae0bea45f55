/** `countersign ssh-config known-hosts`: asks each host for its certificate, and prints the keys of those that have a good one. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { decodeKrl } from '#openssh/krl.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { openClock, rememberClock } from '../clock/clock-record.ts';
import { HostError } from '../host/host-error.ts';
import { requireAuthority } from '../state/authority.ts';
import { stateDirectoryPath } from '../state/state-directory.ts';
import { type HostPlace, type HostTrust, type Unproven, linesOfHost } from '../user/ssh-config/proven-host.ts';
import { SshConfigError } from '../user/ssh-config/ssh-config-error.ts';
import { readPresent, sshConfigPlaces } from '../user/ssh-config/ssh-config-files.ts';
import { askCa } from '../user/ssh-config/told-by-ca.ts';
import { catchInterrupts } from './interrupt.ts';
import type { KnownHostsOptions } from './ssh-config.ts';

const words: Readonly<Record<Unproven, string>> = {
  'no-certificate': 'shows no certificate',
  'wrong-type': 'shows a certificate that is not one of a host',
  'untrusted-ca': 'shows a certificate of another CA',
  'bad-signature': 'shows a certificate whose signature is not valid',
  'not-yet-valid': 'shows a certificate that is not valid yet',
  expired: 'shows a certificate that has expired',
  'no-principals': 'shows a certificate for no name',
  'principal-not-listed': 'shows a certificate for other names',
  'unknown-critical-option': 'shows a certificate with a critical option, which hosts have none of',
  revoked: 'shows a certificate that is revoked',
};

/** @throws SshConfigError `host-unproven` after all hosts had their turn; StateError, CaError */
export async function runKnownHosts(names: readonly string[], options: KnownHostsOptions): Promise<void> {
  if (options.address !== undefined && names.length > 1)
    throw new SshConfigError('hosts-invalid', '--address goes with one host', { advice: 'Name the hosts one by one.' });
  const trust = await readTrust(options);
  const unproven: string[] = [];
  for (const name of names) {
    const place = { name: name.toLowerCase(), address: options.address ?? name, port: options.port };
    const lines = await ask(place, trust);
    if (typeof lines === 'string') unproven.push(`${place.name} ${lines}`);
    else process.stdout.write(lines.join(''));
  }
  if (unproven.length === 0) return;
  throw new SshConfigError('host-unproven', unproven.join('; '), {
    advice: 'Nothing is printed for such a host. On it: countersign doctor',
  });
}

async function ask(place: HostPlace, trust: HostTrust): Promise<readonly string[] | string> {
  try {
    const lines = await linesOfHost(place, trust);
    return typeof lines === 'string' ? words[lines] : lines;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return `was not asked: ${error.message}`;
  }
}

/** The CA's keys and revocations of now; those of before while it is out of reach. */
async function readTrust({ sshDir, stateDir }: KnownHostsOptions): Promise<HostTrust> {
  const stateDirectory = stateDirectoryPath(stateDir);
  const authority = await requireAuthority(stateDirectory);
  const { revokedKeys } = await readPresent(sshConfigPlaces(resolve(sshDir ?? join(homedir(), '.ssh'))));
  using interrupts = catchInterrupts();
  const clock = await openClock(stateDirectory, authority);
  const told = await askCa({ authority, krl: revokedKeys }, clock, { signal: interrupts.signal });
  await rememberClock(stateDirectory, clock);
  for (const remark of told.remarks) process.stderr.write(`note: ${remark}\n`);
  return {
    hostCas: new Set(told.authority.hostCaKeys.map((key) => fingerprintOf(encodePublicKey(key)))),
    krl: told.krl === undefined ? undefined : decodeKrl(told.krl),
    now: clock.now(),
  };
}
