/** Tokens of the agent, held to what the CA takes. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { HostKey } from '#agent/host/host-key.ts';
import { makeSshpopToken } from '#agent/host/renewal/sshpop-token.ts';
import { verifySshpop } from '#ca-lite/lineage/sshpop-token.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { keyTypes } from '#openssh/key-type.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { sampleCaKey, sampleCertificate, sampleHostKey, sampleNow } from '../host-key-sample.ts';

const pairs = {
  ed25519: () => generateKeyPairSync('ed25519'),
  p256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 3072 }),
};

function signingKey(kind: keyof typeof pairs): HostKey {
  const { privateKey } = pairs[kind]();
  const publicKey = publicKeyFromObject(privateKey);
  const blob = encodePublicKey(publicKey);
  const [strongest] = keyTypes[publicKey.type].signatureAlgorithms;
  const sign: HostKey['sign'] = async (data, algorithm = strongest) =>
    Promise.resolve(signWithKeyObject(privateKey, algorithm, data));
  return { path: '/etc/ssh/key', publicKey, blob, fingerprint: fingerprintOf(blob), holder: 'file', sign };
}

const hostCas = new Set([fingerprintOf(encodePublicKey(sampleCaKey))]);

test.each(Object.keys(pairs) as (keyof typeof pairs)[])('the CA takes the token of a key %s', async (kind) => {
  const key = signingKey(kind);
  const certificate = sampleCertificate(key);
  // r and s of ECDSA are shorter than usual once in 128 times
  for (let round = 0; round < (kind === 'p256' ? 300 : 3); round += 1) {
    const parts = { key, certificate, authority: 'ca.example.internal:8443', now: sampleNow, id: randomBytes(20) };
    const token = await makeSshpopToken({ ...parts, operation: 'renew' });
    const expected = { dnsNames: ['ca.example.internal'], hostCas, now: sampleNow };
    expect(verifySshpop(token, { ...expected, operation: 'renew' })).toMatchObject({ certificate: { serial: 7n } });
    expect(verifySshpop(token, { ...expected, operation: 'status' })).toMatchObject({
      refused: 'token-wrong-audience',
    });
  }
});

test('a key that the CA takes no token from is refused here', async () => {
  const key = sampleHostKey('ed25519');
  const odd = { ...key, publicKey: { type: 'sk-ssh-ed25519@openssh.com', application: 'ssh:' } } as unknown as HostKey;
  const certificate = sampleCertificate(key);
  const request = {
    key: odd,
    certificate,
    operation: 'renew',
    authority: 'ca',
    now: sampleNow,
    id: randomBytes(20),
  } as const;
  await expect(makeSshpopToken(request)).rejects.toMatchObject({ code: 'key-unusable' });
});
