/** A host of the real CA program, with users of that CA who log in to its real sshd: for tests of what the host follows its CA in. */
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { formatCertificateLine } from '#openssh/certificate-line.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import { decodeBase64 } from '#openssh/base64.ts';
import { parsePublicKeyLine } from '#openssh/public-key.ts';
import { ConnectionLost, acrossReload } from '#test/support/across-reload.ts';
import { EnrolmentClient } from '#test/support/enrolment-client.ts';
import { type RenewalHost, type RenewalHostOptions, startRenewalHost } from './host-renewal-fixture.ts';

export interface User {
  /** Path of the private key. */
  readonly identity: string;
  readonly certificate: Certificate;
}

/** Whoever the tests run as: sshd lets them in under no other name. */
const login = userInfo().username;

export async function startFollowingHost(options: RenewalHostOptions = {}): Promise<RenewalHost> {
  return startRenewalHost({ ...options, initOptions: ['--allow-user', login, ...(options.initOptions ?? [])] });
}

/** A key with a user certificate of the CA that runs. @param name tells files apart */
export async function certifyUser({ lab, ca }: RenewalHost, name: string): Promise<User> {
  const identity = await makeKey(lab.directory, name);
  const { blob } = parsePublicKeyLine(await readFile(`${identity}.pub`, 'utf8'));
  await using client = new EnrolmentClient({ url: ca.url, rootPem: await ca.ca.rootPem() });
  const { json, text } = await client.sign(await ca.ca.token('--user', login), blob);
  if (json?.crt === undefined) throw new Error(text);
  const certificate = decodeCertificate(decodeBase64(json.crt));
  await writeFile(`${identity}-cert.pub`, `${formatCertificateLine(certificate)}\n`);
  return { identity, certificate };
}

/** A key that sshd takes without any certificate. */
export async function authorizeKey({ lab }: RenewalHost, name: string): Promise<string> {
  const identity = await makeKey(lab.directory, name);
  await appendFile(join(lab.directory, 'authorized'), await readFile(`${identity}.pub`));
  return identity;
}

async function makeKey(directory: string, name: string): Promise<string> {
  const path = join(directory, name);
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', path]);
  return path;
}

/** For `ssh`, before the command that is to run there. */
export function loginArguments({ sshd }: Pick<RenewalHost, 'sshd'>, identity: string): string[] {
  const options = ['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'IdentitiesOnly=yes'];
  const given = options.flatMap((option) => ['-o', option]);
  return ['-F', 'none', '-i', identity, ...given, '-p', String(sshd.port), `${login}@${sshd.address}`];
}

/** Whether sshd lets this key, and a certificate beside it, log in. @throws ConnectionLost when something else than sshd's decision ends it for a minute */
export async function letsIn(host: Pick<RenewalHost, 'sshd'>, identity: string): Promise<boolean> {
  return acrossReload(async () => {
    const login = [...loginArguments(host, identity), 'true'];
    const { exitCode, stderr } = await execa('ssh', login, { reject: false, stdin: 'ignore', timeout: 30_000 });
    if (exitCode === 0) return true;
    if (stderr.includes('Permission denied')) return false;
    throw new ConnectionLost(`ssh ended with ${exitCode}: ${stderr}`);
  });
}
