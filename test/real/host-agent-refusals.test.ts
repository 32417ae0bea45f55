/** What an agent must notice about its CA: every lie is refused with its own code, nothing is installed, sshd answers as before. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { textOption } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { publicKeyFromObject } from '#openssh/public-key.ts';
import { firstKey } from '#test/support/across-reload.ts';
import type { FakeCaBehaviour } from '#test/support/fake-ca.ts';
import { readTree } from '#test/support/file-tree.ts';
import { type TestHost, startHost } from './host-agent-fixture.ts';

let host: TestHost;
let before: string[];

beforeAll(async () => {
  host = await startHost();
  before = await readTree(host.sshd.etc);
});

afterAll(async () => host[Symbol.asyncDispose]());

afterEach(() => {
  for (const name of Object.keys(host.ca.behaviour)) delete host.ca.behaviour[name as keyof FakeCaBehaviour];
});

async function expectRefusal(behaviour: FakeCaBehaviour, code: string): Promise<void> {
  Object.assign(host.ca.behaviour, behaviour);
  expect(await host.enroll()).toMatchObject({ status: 1, code, stdout: '' });
  expect(await readTree(host.sshd.etc)).toEqual(before);
  expect(await host.servedCertificate()).toBeUndefined();
  expect(await host.servedKey()).toBe(fingerprintOf(firstKey(host.sshd).blob));
}

const now = BigInt(Math.floor(Date.now() / 1000));

describe('a challenge is not answered when', () => {
  const lies: Record<string, [FakeCaBehaviour, string]> = {
    'another host CA signed for it': [{ wrongHostCa: 'challenge' }, 'challenge-untrusted'],
    'its signature is damaged': [{ alterSignature: damaged }, 'challenge-untrusted'],
    'it has another name': [{ alterPayload: (asked) => ({ ...asked, names: ['bank.example'] }) }, 'challenge-altered'],
    'it has one name more': [
      { alterPayload: (asked) => ({ ...asked, names: [...asked.names, 'bank.example'] }) },
      'challenge-altered',
    ],
    'it has another address': [
      { alterPayload: (asked) => ({ ...asked, addresses: ['192.0.2.1'] }) },
      'challenge-altered',
    ],
    'it has another port': [{ alterPayload: (asked) => ({ ...asked, port: 2222 }) }, 'challenge-altered'],
    'it is for another key': [
      { alterPayload: (asked) => ({ ...asked, fingerprint: `SHA256:${'A'.repeat(43)}` }) },
      'challenge-altered',
    ],
    'it is something else': [{ alterPayload: () => 'a contract' }, 'challenge-altered'],
    'it has a member that is unknown': [
      { alterPayload: (asked) => ({ ...asked, also: 'sign this' }) },
      'challenge-altered',
    ],
    'it has expired': [
      { alterPayload: (asked) => ({ ...asked, issuedAt: asked.issuedAt - 600, expiresAt: asked.issuedAt - 300 }) },
      'challenge-untrusted',
    ],
    'it lives too long': [
      { alterPayload: (asked) => ({ ...asked, expiresAt: asked.issuedAt + 301 }) },
      'challenge-altered',
    ],
    "its key's certificate has expired": [
      { challengeCertificate: { validAfter: now - 7200n, validBefore: now - 3600n } },
      'challenge-untrusted',
    ],
    "its key's certificate could log in somewhere": [
      { challengeCertificate: { principals: ['root'] } },
      'challenge-untrusted',
    ],
    "its key's certificate has no forced command": [
      { challengeCertificate: { criticalOptions: [] } },
      'challenge-untrusted',
    ],
    "its key's certificate has another option": [
      {
        challengeCertificate: {
          criticalOptions: [textOption('force-command', '/bin/false'), textOption('verify-required', '')],
        },
      },
      'challenge-untrusted',
    ],
    "its key's certificate is for hosts": [{ challengeCertificate: { type: 'host' } }, 'challenge-untrusted'],
  };
  test.each(Object.keys(lies))('%s', async (name) => {
    const [behaviour, code] = lies[name] ?? [];
    await expectRefusal(behaviour ?? {}, code ?? '');
    expect(host.ca.requests.at(-1)).toBe('GET /host/challenge');
  });
});

describe('a certificate is not installed when', () => {
  const lies: Record<string, FakeCaBehaviour> = {
    'it is for other names': { certificate: { principals: ['localhost', 'bank.example'] } },
    'it is a user certificate': { certificate: { type: 'user' } },
    'it has expired': { certificate: { validAfter: now - 7200n, validBefore: now - 3600n } },
    'it is not valid yet': { certificate: { validAfter: now + 7200n, validBefore: now + 9000n } },
    'it has a critical option': { certificate: { criticalOptions: [textOption('force-command', '/bin/true')] } },
  };
  test.each(Object.keys(lies))('%s', async (name) => {
    await expectRefusal(lies[name] ?? {}, 'certificate-unacceptable');
  });

  test('another host CA signed it', async () => {
    await expectRefusal({ wrongHostCa: 'certificate' }, 'certificate-unacceptable');
  });

  test('it is for another key', async () => {
    await expectRefusal({ certificate: { key: publicKeyFromObject(host.ca.userCa) } }, 'certificate-unacceptable');
  });
});

describe('a CA that', () => {
  test('refuses is quoted with its code', async () => {
    Object.assign(host.ca.behaviour, {
      refuse: {
        status: 403,
        code: 'name-not-allowed',
        message: 'localhost is not allowed here\u001b[31m; ask for a pattern',
      },
    });
    const { status, code, stderr } = await host.enroll();
    expect({ status, code }).toEqual({ status: 1, code: 'ca-refused' });
    expect(stderr).toContain('localhost is not allowed here [31m; ask for a pattern');
    expect(stderr).toContain('name-not-allowed');
    expect(stderr).toContain('test-request');
    expect(await readTree(host.sshd.etc)).toEqual(before);
  });

  test('is gone is told of, and sshd answers', async () => {
    await using gone = await startHost();
    await gone.ca.close();
    expect(await gone.enroll()).toMatchObject({ status: 1, code: 'ca-unreachable' });
    expect(await gone.servedKey()).toBe(fingerprintOf(firstKey(gone.sshd).blob));
  });

  test('is busy is asked again', async () => {
    await using busy = await startHost();
    busy.ca.behaviour.busy = { times: 2, status: 429, retryAfter: '0' };
    expect((await busy.enroll()).status).toBe(0);
    expect(busy.ca.requests.filter((request) => request === 'GET /ssh/trust')).toHaveLength(3);
  });
});

/** With one bit of the signature turned; its last byte is of the signature itself. */
function damaged(sshsig: Uint8Array): Uint8Array {
  const last = sshsig.length - 1;
  return sshsig.with(last, (sshsig[last] ?? 0) ^ 1);
}
