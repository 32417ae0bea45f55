/** Certificates that a YubiHSM signed, in both ways, with plain OpenSSH: a user logs in, a host is trusted. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { encodeBase64 } from '#openssh/base64.ts';
import { textOption } from '#openssh/certificate.ts';
import { formatPublicKeyLine, publicKeyFromObject } from '#openssh/public-key.ts';
import { encodePrivateKey } from '#openssh/private-key.ts';
import { capabilityBits } from '#ca-lite/yubihsm/capabilities.ts';
import { putTemplate } from '#ca-lite/yubihsm/commands/template.ts';
import { allDomains } from '#ca-lite/yubihsm/domains.ts';
import { type Hsm, openHsm } from '#ca-lite/yubihsm/hsm.ts';
import { encodeSshTemplate } from '#ca-lite/yubihsm/ssh-template.ts';
import { fileTimestampKey } from '#ca-lite/yubihsm/timestamp-key.ts';
import { certify } from '#test/contract/signer.ts';
import { startSshd } from '#test/support/sshd.ts';
import { factoryKeys, makeKey, startBench } from './yubihsm-fixture.ts';

const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const userCa = 5;
const hostCa = 6;

async function openCa(way: 'plain' | 'template'): Promise<Hsm> {
  const bench = await startBench();
  const timestampKey = fileTimestampKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, nowSeconds);
  {
    await using session = await bench.session();
    for (const id of [userCa, hostCa]) {
      if (way === 'plain') await makeKey(session, id, 'ed25519', 'sign-eddsa');
      else await makeKey(session, id, 'rsa2048', 'sign-ssh-certificate');
    }
    const content = encodeSshTemplate({
      timestampModulus: timestampKey.modulus,
      caKeyIds: [userCa, hostCa],
      notBeforeOffsetSeconds: 10,
      notAfterOffsetSeconds: 7200,
      forbiddenPrincipals: ['root'],
    });
    const header = { id: 10, label: 'template', domains: allDomains, capabilities: capabilityBits() };
    await session.execute(putTemplate(header, content));
  }
  const template = way === 'template' ? { template: { templateId: 10, timestampKey } } : {};
  const keys = [userCa, hostCa].map((keyId) => ({ keyId, ...template }));
  const devices = [{ connector: bench.connector, authKeyId: 1, keys: factoryKeys }];
  const hsm = await openHsm({ devices, keys, nowSeconds });
  onTestFinished(async () => {
    await hsm[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
  });
  return hsm;
}

test.each(['plain', 'template'] as const)('a user signs in to a host, both with certificates: %s', async (way) => {
  const hsm = await openCa(way);
  const directory = await mkdtemp(join(tmpdir(), 'yubihsm-sshd-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const path = (name: string): string => join(directory, name);
  const caLine = (id: number): string => formatPublicKeyLine(hsm.signer(id).publicKey);
  await writeFile(path('user-ca.pub'), `${caLine(userCa)}\n`);
  await writeFile(path('principals'), 'alice\n');
  await writeFile(path('known_hosts'), `@cert-authority web1.example.com ${caLine(hostCa)}\n`);
  const hostCertificate = path('host-cert.pub');
  await using sshd = await startSshd({
    config: [
      `TrustedUserCAKeys ${path('user-ca.pub')}`,
      `AuthorizedPrincipalsFile ${path('principals')}`,
      'AuthorizedKeysFile none',
      'PermitRootLogin prohibit-password',
      'StrictModes no',
      `HostCertificate ${hostCertificate}`,
    ],
  });
  const [hostKey] = sshd.hostKeys;
  const host = { type: 'host', key: hostKey!.key, principals: ['web1.example.com'] } as const;
  await writeFile(hostCertificate, certificateLine(await certify(hsm.signer(hostCa), host)));
  await sshd.reload();

  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFile(path('key'), encodePrivateKey(privateKey, { random: { checkInt: 1 } }), { mode: 0o600 });
  const user = { key: publicKeyFromObject(privateKey), extensions: [] };
  const login = async (): Promise<string> => {
    const options = ['-F', 'none', '-o', `UserKnownHostsFile=${path('known_hosts')}`, '-o', 'BatchMode=yes'];
    const target = ['-o', 'HostKeyAlias=web1.example.com', '-i', path('key'), '-p', String(sshd.port)];
    const words = [...options, ...target, `${userInfo().username}@${sshd.address}`, 'echo', 'in'];
    const retried = await execa('ssh', ['-o', 'ConnectionAttempts=20', ...words], { reject: false });
    return retried.stdout || retried.stderr;
  };
  await writeFile(path('key-cert.pub'), certificateLine(await certify(hsm.signer(userCa), user)));
  expect(await login()).toBe('in');
  const forced = { ...user, criticalOptions: [textOption('force-command', 'echo forced')] };
  await writeFile(path('key-cert.pub'), certificateLine(await certify(hsm.signer(userCa), forced)));
  expect(await login()).toBe('forced');
  await writeFile(path('key-cert.pub'), certificateLine(await certify(hsm.signer(hostCa), user)));
  expect(await login()).toContain('Permission denied');
});

function certificateLine(blob: Uint8Array): string {
  return `ssh-ed25519-cert-v01@openssh.com ${encodeBase64(blob)}\n`;
}
