/** A real sshd on a machine of a laboratory: host keys made by ssh-keygen, a configuration as Debian lays it out, user certificates. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { parseSoftwareKey } from '#openssh/private-key.ts';
import { formatCertificateLine } from '#openssh/certificate-line.ts';
import type { Certificate } from '#openssh/certificate.ts';
import { type HostKeyPair, hostKeyPair } from './enrolment-client.ts';
import { type LabProcess, startProcess } from './lab-process.ts';
import type { Lab, Machine } from './lab.ts';

export type HostKeyKind = 'ed25519' | 'ecdsa' | 'rsa';

export interface LabSshdOptions {
  readonly keys?: readonly HostKeyKind[];
  /** Keys made before, in place of `keys`: for a second machine with the keys of the first. */
  readonly keyFilesOf?: LabSshd;
  readonly config?: readonly string[];
}

export interface LabSshd extends AsyncDisposable {
  readonly machine: Machine;
  readonly process: LabProcess;
  /** In the order of `keys`. */
  readonly hostKeys: readonly HostKeyPair[];
  readonly keyNames: readonly string[];
  /** Serves this certificate too, and lets users of this CA in as `principal`. */
  install(certificate: Certificate, userCaLine: string, principal: string): Promise<void>;
}

const SSHD = '/usr/sbin/sshd';
const PRIVSEP_DIRECTORY = '/run/sshd';

export async function startLabSshd(lab: Lab, machine: Machine, options: LabSshdOptions = {}): Promise<LabSshd> {
  const { keys = ['ed25519'], keyFilesOf, config = [] } = options;
  const { outside, inside } = machine.ssh;
  if (process.getuid?.() === 0) await mkdir(PRIVSEP_DIRECTORY, { recursive: true, mode: 0o755 });
  await mkdir(join(outside, 'sshd_config.d'), { recursive: true });
  const keyNames = keyFilesOf?.keyNames ?? (await Promise.all(keys.map(async (kind) => makeKey(outside, kind))));
  if (keyFilesOf !== undefined) await copyKeys(keyFilesOf, outside);
  const lines = [
    `Include ${inside}/sshd_config.d/*.conf`,
    ...machine.addresses.map((address) => `ListenAddress ${bracketed(address)}:${lab.sshPort}`),
    ...keyNames.map((name) => `HostKey ${inside}/${name}`),
    'UsePAM no',
    'StrictModes no',
    'LogLevel VERBOSE',
    'MaxStartups 1000',
    `PidFile ${inside}/sshd.pid`,
    ...(await penaltiesOff()),
    ...config,
  ];
  await writeFile(join(outside, 'sshd_config'), `${lines.join('\n')}\n`);
  const sshd = startProcess(machine.command([SSHD, '-D', '-e', '-f', `${inside}/sshd_config`]));
  await untilListening(sshd, machine, 1);
  return {
    machine,
    process: sshd,
    keyNames,
    hostKeys: await Promise.all(keyNames.map(async (name) => readKey(join(outside, name)))),
    install: async (certificate, userCaLine, principal) => {
      await installCertificate(machine, keyNames[0] ?? '', certificate, userCaLine, principal);
      const starts = countListening(sshd) / machine.addresses.length;
      sshd.signal('SIGHUP');
      await untilListening(sshd, machine, starts + 1);
    },
    [Symbol.asyncDispose]: async () => sshd[Symbol.asyncDispose](),
  };
}

/** A test dials back more often in a minute than any CA would: sshd of 9.8 and later turns such a visitor away. */
async function penaltiesOff(): Promise<string[]> {
  const { stderr } = await execa(SSHD, ['-V'], { reject: false });
  const [, major, minor] = /OpenSSH_(\d+)\.(\d+)/.exec(stderr) ?? [];
  return Number(major) * 100 + Number(minor) >= 908 ? ['PerSourcePenalties no'] : [];
}

/**
 * sshd says so once for each address and start, before it handles signals: a SIGHUP in between ends it. Its PidFile comes after both, and goes
 * when it starts anew.
 */
async function untilListening(sshd: LabProcess, { addresses, ssh }: Machine, starts: number): Promise<void> {
  const wanted = addresses.length * starts;
  const pidFile = join(ssh.outside, 'sshd.pid');
  await sshd.until((one) => countListening(one) >= wanted && existsSync(pidFile));
}

function countListening(sshd: LabProcess): number {
  return sshd.stderr().split('Server listening on ').length - 1;
}

async function installCertificate(
  { ssh: { outside, inside } }: Machine,
  keyName: string,
  certificate: Certificate,
  userCaLine: string,
  principal: string,
): Promise<void> {
  await writeFile(join(outside, `${keyName}-cert.pub`), `${formatCertificateLine(certificate)}\n`);
  await writeFile(join(outside, 'user_ca.pub'), `${userCaLine}\n`);
  await writeFile(join(outside, 'principals'), `${principal}\n`);
  const lines = [
    `HostCertificate ${inside}/${keyName}-cert.pub`,
    `TrustedUserCAKeys ${inside}/user_ca.pub`,
    `AuthorizedPrincipalsFile ${inside}/principals`,
  ];
  await writeFile(join(outside, 'sshd_config.d', '50-test.conf'), `${lines.join('\n')}\n`);
}

async function makeKey(directory: string, kind: HostKeyKind): Promise<string> {
  const name = `ssh_host_${kind}_key`;
  await execa('ssh-keygen', ['-q', '-t', kind, '-N', '', '-C', '', '-f', join(directory, name)]);
  return name;
}

async function copyKeys({ machine, keyNames }: LabSshd, directory: string): Promise<void> {
  for (const name of keyNames.flatMap((one) => [one, `${one}.pub`])) {
    await writeFile(join(directory, name), await readFile(join(machine.ssh.outside, name)), { mode: 0o600 });
  }
}

async function readKey(file: string): Promise<HostKeyPair> {
  return hostKeyPair(parseSoftwareKey(await readFile(file)).privateKey);
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** The account that `ssh` logs in to: sshd without privileges lets in nobody but its own user. */
export const loginName: string = userInfo().username;
