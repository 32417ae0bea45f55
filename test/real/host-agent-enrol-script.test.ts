/** docs/examples/enrol.sh: a client of curl, ssh-keygen, openssl and sed alone gets its certificate, and notices the same lies. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readCertificateFile } from '#agent/host/certificate-file.ts';
import { publicKeyFromObject } from '#openssh/public-key.ts';
import { firstKey } from '#test/support/across-reload.ts';
import type { FakeCaBehaviour } from '#test/support/fake-ca.ts';
import { type TestHost, startHost } from './host-agent-fixture.ts';

const script = join(import.meta.dirname, '../../docs/examples/enrol.sh');

let host: TestHost;

beforeAll(async () => {
  host = await startHost({ sshd: { keys: ['ed25519', 'rsa', 'ecdsa'] } });
});

afterAll(async () => host[Symbol.asyncDispose]());

afterEach(() => {
  for (const name of Object.keys(host.ca.behaviour)) delete host.ca.behaviour[name as keyof FakeCaBehaviour];
});

let runs = 0;
async function enrol(key = firstKey(host.sshd), fingerprint = host.ca.fingerprint) {
  runs += 1;
  const out = join(host.scratch, `${runs}-cert.pub`);
  const trust = ['--ca', host.ca.url, '--fingerprint', fingerprint];
  const identity = ['--name', 'localhost', '--name', 'web1.example.internal', '--ip', '127.0.0.1', '--ip', 'fd00::7'];
  const args = [script, ...trust, ...identity, '--port', '2222', '--key', key.path, '--out', out];
  const { exitCode, stdout, stderr } = await execa('sh', args, { reject: false });
  return { status: exitCode, stdout, stderr, out };
}

test.each(['ed25519', 'rsa', 'ecdsa'])('gets a certificate for its %s key', async (kind) => {
  const key = host.sshd.hostKeys.find((one) => one.kind === kind) ?? firstKey(host.sshd);
  const { status, stderr, stdout, out } = await enrol(key);
  expect(status, stderr).toBe(0);
  const certificate = await readCertificateFile(out);
  expect(certificate?.principals).toEqual(['localhost', 'web1.example.internal']);
  expect(certificate?.key).toEqual(key.key);
  expect(stdout).toContain(`HostCertificate ${out}`);
});

test('uses nothing but its four programs and the shell', async () => {
  const text = await readFile(script, 'utf8');
  for (const program of ['jq', 'python', 'awk', 'perl', 'step', 'countersign ']) {
    expect(text.replaceAll(/^ *#.*$/gm, '').includes(program), program).toBe(false);
  }
});

describe('stops when', () => {
  const lies: Record<string, [FakeCaBehaviour, string]> = {
    'another host CA signed the challenge': [{ wrongHostCa: 'challenge' }, 'not signed by the host CA'],
    'the challenge has another name': [
      { alterPayload: (asked) => ({ ...asked, names: ['bank.example'] }) },
      'for other names',
    ],
    'the challenge has another address': [
      { alterPayload: (asked) => ({ ...asked, addresses: ['192.0.2.1'] }) },
      'for other addresses',
    ],
    'the challenge has another port': [{ alterPayload: (asked) => ({ ...asked, port: 22 }) }, 'for another port'],
    'the challenge is for another key': [
      { alterPayload: (asked) => ({ ...asked, fingerprint: `SHA256:${'A'.repeat(43)}` }) },
      'for another key',
    ],
    'the challenge has expired': [{ alterPayload: (asked) => ({ ...asked, expiresAt: 1 }) }, 'has expired'],
    'the challenge is something else': [{ alterPayload: (asked) => ({ ...asked, type: 'contract' }) }, 'no challenge'],
    'another host CA signed the certificate': [{ wrongHostCa: 'certificate' }, 'no host CA of this CA'],
    'it is a user certificate': [{ certificate: { type: 'user' } }, 'no host certificate'],
    'the CA refuses': [{ refuse: { status: 403, code: 'name-not-allowed', message: 'not here' } }, 'not here'],
  };
  test.each(Object.keys(lies))('%s', async (name) => {
    const [behaviour, words] = lies[name] ?? [];
    Object.assign(host.ca.behaviour, behaviour);
    const { status, stderr, out } = await enrol();
    expect(status).toBe(1);
    expect(stderr).toContain(words);
    await expect(readFile(out)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('the certificate is for another key', async () => {
    host.ca.behaviour.certificate = { key: publicKeyFromObject(host.ca.userCa) };
    expect(await enrol()).toMatchObject({ status: 1, stderr: expect.stringContaining('another key') as string });
  });

  test('the root has another fingerprint', async () => {
    const wrong = 'ab'.repeat(32);
    expect(await enrol(firstKey(host.sshd), wrong)).toMatchObject({ status: 1 });
  });

  test('it is used wrongly', async () => {
    expect((await execa('sh', [script, '--ca'], { reject: false })).exitCode).toBe(2);
    expect((await execa('sh', [script], { reject: false })).exitCode).toBe(2);
  });
});
