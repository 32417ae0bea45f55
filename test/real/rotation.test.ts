/** Rotations of both CA keys while the CA serves and a host never stops renewing, judged by ssh and sshd; and with the CA killed between the steps. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeBase64, decodeBase64 } from '#openssh/base64.ts';
import { parseSoftwareKey, encodePrivateKey } from '#openssh/private-key.ts';
import { decodePublicKey, encodePublicKey, formatPublicKeyLine, publicKeyFromObject } from '#openssh/public-key.ts';
import type { TrustedCaKey } from '#protocol/trust.ts';
import { type TestCa, makeCa } from '#test/support/ca.ts';
import { BusyHost, RotationStage, signedBy, until } from '#test/support/rotation-stage.ts';
import type { HostKey } from '#test/support/sshpop-client.ts';
import { type TestSshd, startSshd } from '#test/support/sshd.ts';

const HOST = 'web1.lab.example';
const initOptions = ['--allow-name', '**.lab.example', '--allow-user', 'alice'];
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'countersign-rotation-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

const path = (name: string): string => join(directory, name);
const lineOf = ({ key }: TrustedCaKey): string => formatPublicKeyLine(decodePublicKey(decodeBase64(key)));
const certificateLine = (blob: Uint8Array): string => `ssh-ed25519-cert-v01@openssh.com ${encodeBase64(blob)}\n`;

async function sshdOfHost(): Promise<TestSshd> {
  await writeFile(path('principals'), 'alice\n');
  await writeFile(path('user-cas'), '');
  return startSshd({
    config: [
      `TrustedUserCAKeys ${path('user-cas')}`,
      `AuthorizedPrincipalsFile ${path('principals')}`,
      'AuthorizedKeysFile none',
      'PermitRootLogin prohibit-password',
      'StrictModes no',
      `HostCertificate ${path('host-cert.pub')}`,
    ],
  });
}

/** What the host and the user have of the CA's keys, brought up to date as their agents would. */
async function follow(stage: RotationStage): Promise<void> {
  const { hostCas, userCas } = await stage.trust();
  await writeFile(path('user-cas'), userCas.map((key) => `${lineOf(key)}\n`).join(''));
  await writeFile(path('known_hosts'), hostCas.map((key) => `@cert-authority ${HOST} ${lineOf(key)}\n`).join(''));
}

/** What `ssh` says, with a user certificate: `in`, or why not. */
async function login(sshd: TestSshd, certificate: Uint8Array, knownHosts = 'known_hosts'): Promise<string> {
  await writeFile(path('key-cert.pub'), certificateLine(certificate));
  const options = ['-F', 'none', '-o', `UserKnownHostsFile=${path(knownHosts)}`, '-o', 'BatchMode=yes'];
  const target = ['-o', `HostKeyAlias=${HOST}`, '-i', path('key'), '-p', String(sshd.port)];
  const words = [...options, ...target, `${userInfo().username}@${sshd.address}`, 'echo', 'in'];
  const { stdout, stderr } = await execa('ssh', ['-o', 'ConnectionAttempts=20', ...words], { reject: false });
  return stdout || stderr;
}

async function hostKeyOf(sshd: TestSshd): Promise<HostKey> {
  const { privateKey } = parseSoftwareKey(await readFile(sshd.hostKeys[0]?.path ?? ''));
  const publicKey = publicKeyFromObject(privateKey);
  return { privateKey, publicKey, blob: encodeBase64(encodePublicKey(publicKey)) };
}

test('a running CA takes each step of both rotations, and no request fails', { timeout: 300_000 }, async () => {
  const made = await makeCa({ within: path('busy'), quick: true, initOptions });
  await using ca = await made.serve();
  await using stage = await RotationStage.open(ca);
  await using sshd = await sshdOfHost();
  const hostKey = await hostKeyOf(sshd);
  let hostCertificate = await stage.certify(hostKey.blob, '--host', HOST);
  const install = async (): Promise<void> => {
    await writeFile(path('host-cert.pub'), certificateLine(hostCertificate));
    await sshd.reload();
  };
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFile(path('key'), encodePrivateKey(privateKey, { random: { checkInt: 1 } }), { mode: 0o600 });
  const userBlob = encodeBase64(encodePublicKey(publicKeyFromObject(privateKey)));
  const firstUser = await stage.certify(userBlob, '--user', 'alice', '--principal', 'alice');
  await install();
  await follow(stage);
  await writeFile(path('first_known_hosts'), await readFile(path('known_hosts')));
  expect(await login(sshd, firstUser)).toBe('in');

  {
    await using busy = await BusyHost.start(stage, 'busy.lab.example');
    for (const type of ['user', 'host'] as const)
      await stage.rotate('start', '--type', type, '--passphrase-file', made.passphraseFile);
    await stage.untilTrust('user', ['current', 'next']);
    await stage.untilTrust('host', ['current', 'next']);
    expect((await made.attempt('rotate', 'switch', '--type', 'host')).stderr).toContain('not reported');
    await follow(stage);
    expect(await stage.report(hostKey, hostCertificate)).toMatchObject({ status: 200 });
    for (const type of ['user', 'host'] as const) await stage.rotate('switch', '--type', type, '--wait');
    const { userCas } = await stage.untilTrust('user', ['current', 'old']);
    const { hostCas } = await stage.untilTrust('host', ['current', 'old']);
    await follow(stage);

    const secondUser = await stage.certify(userBlob, '--user', 'alice', '--principal', 'alice');
    expect(signedBy(secondUser)).toBe(userCas[0]?.fingerprint);
    for (const certificate of [firstUser, secondUser]) expect(await login(sshd, certificate)).toBe('in');
    hostCertificate = decodeBase64(String((await stage.renew(hostKey, hostCertificate)).body['crt']));
    expect(signedBy(hostCertificate)).toBe(hostCas[0]?.fingerprint);
    await install();
    expect(await login(sshd, secondUser)).toBe('in');
    expect(await login(sshd, secondUser, 'first_known_hosts')).toContain('Host key verification failed');
    expect(await stage.report(hostKey, hostCertificate)).toMatchObject({ status: 200 });

    expect((await made.attempt('rotate', 'retire', '--type', 'user')).stderr).toContain('1 valid certificates');
    await stage.rotate('retire', '--type', 'user', '--force');
    await stage.rotate('retire', '--type', 'host', '--wait');
    await stage.untilTrust('user', ['current']);
    await stage.untilTrust('host', ['current']);
    await follow(stage);
    expect(await login(sshd, firstUser)).toContain('Permission denied');
    expect(await login(sshd, secondUser)).toBe('in');
    expect(busy.renewals).toBeGreaterThan(0);
    expect(busy.failures).toEqual([]);
  }
});

test('killed between the steps, the CA goes on where the record of CA keys is', { timeout: 300_000 }, async () => {
  const made = await makeCa({ within: path('killed'), quick: true, initOptions });
  const start = ['start', '--type', 'host', '--passphrase-file', made.passphraseFile];
  const first = await serving(made, async (stage) => {
    const { hostCas } = await stage.trust();
    await stage.rotate(...(start as [string, ...string[]]));
    await stage.untilTrust('host', ['current', 'next']);
    return hostCas[0]?.fingerprint;
  });
  await made.run('rotate', 'switch', '--type', 'host');
  const second = await serving(made, async (stage) => {
    const { hostCas } = await stage.trust();
    expect(hostCas.map(({ state }) => state)).toEqual(['current', 'old']);
    expect(hostCas[1]?.fingerprint).toBe(first);
    return hostCas[0]?.fingerprint;
  });
  await made.run('rotate', 'retire', '--type', 'host');
  await made.run('rotate', ...start); // nobody serves: the handover waits for nobody
  await serving(made, async (stage) => {
    expect((await stage.trust()).hostCas.map(({ state }) => state)).toEqual(['current', 'next']);
    await stage.rotate('withdraw', '--type', 'host');
    const { hostCas } = await stage.untilTrust('host', ['current']);
    expect(hostCas[0]?.fingerprint).toBe(second);
    await stage.rotate(...(start as [string, ...string[]]));
    await stage.untilTrust('host', ['current', 'next']);
    await until(
      async () => readdir(join(made.directory, 'secrets')),
      (names) => names.filter((name) => name.includes('handover')).length === 0,
    );
  });
});

/** Serves, and kills the server in the end. */
async function serving<T>(made: TestCa, act: (stage: RotationStage) => Promise<T>): Promise<T> {
  await using ca = await made.serve();
  await using stage = await RotationStage.open(ca);
  const result = await act(stage);
  ca.process.signal('SIGKILL');
  await ca.process.ended;
  return result;
}
