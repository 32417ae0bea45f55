import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encodeBase64 } from '#openssh/base64.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import type { OneTimeTokenClaims } from '#protocol/one-time-token.ts';
import type { SshSignRequest } from '#protocol/step-api.ts';
import { parseConfig } from '#ca-lite/config/parse.ts';
import { grantOfClaims } from '#ca-lite/issue/certificate-grant.ts';
import { type CertificatePlan, planCertificate } from '#ca-lite/issue/certificate-plan.ts';
import { type Refusal, isRefusal } from '#ca-lite/refusal.ts';
import { ADMIN_PROVISIONER, makeClaims } from '#ca-lite/token/one-time-token.ts';

const policy = parseConfig(`name = "x"
dns_names = ["ca"]
[enrolment]
names = ["*.example.com"]
addresses = ["10.0.0.0/8"]
[certificates]
user_principals = ["alice", "bob"]
`);
const now = 1_800_000_000n;
const caKey = publicKeyFromObject(generateKeyPairSync('ed25519').privateKey);
const hostKey = encodePublicKey(publicKeyFromObject(generateKeyPairSync('ed25519').privateKey));

function claims(change: Partial<Parameters<typeof makeClaims>[0]> = {}): OneTimeTokenClaims {
  const grant = {
    provisioner: ADMIN_PROVISIONER,
    type: 'host',
    keyId: 'web1.example.com',
    principals: ['web1.example.com'],
    validBefore: '',
  } as const;
  return makeClaims(
    { ...grant, ...change },
    { authority: 'ca', rootFingerprint: 'ab', now, lifetimeSeconds: 300, tokenId: 'x'.repeat(24) },
  );
}

function plan(token: OneTimeTokenClaims, request: Partial<SshSignRequest> = {}): CertificatePlan | Refusal {
  const inputs = { policy, now, serial: 7n, nonce: randomBytes(32), caKey: () => caKey };
  return planCertificate(grantOfClaims(token), { publicKey: encodeBase64(hostKey), ott: '', ...request }, inputs);
}

function codeOf(result: CertificatePlan | Refusal): string {
  return isRefusal(result) ? result.refused : 'planned';
}

describe('planning a certificate', () => {
  it('takes everything from the token', () => {
    const result = plan(claims(), { keyID: 'something else', principals: ['WEB1.example.com'], certType: 'host' });
    if (isRefusal(result)) throw new Error(result.message);
    const { type, keyId, principals, validAfter, validBefore, extensions } = result.fields;
    expect({ type, keyId, principals, validAfter, validBefore, extensions }).toEqual({
      type: 'host',
      keyId: 'web1.example.com',
      principals: ['web1.example.com'],
      validAfter: now - 60n,
      validBefore: now + 30n * 86_400n,
      extensions: [],
    });
    expect(result.keyFingerprint).toBe(fingerprintOf(hostKey));
  });

  it('gives users the five permits', () => {
    const result = plan(claims({ type: 'user', keyId: 'alice', principals: ['alice'] }));
    if (isRefusal(result)) throw new Error(result.message);
    expect(result.fields.extensions.map(({ name }) => name)).toHaveLength(5);
  });

  it('refuses what the token does not cover', () => {
    expect(codeOf(plan(claims(), { certType: 'user' }))).toBe('certificate-type-not-allowed');
    expect(codeOf(plan(claims(), { principals: ['web1.example.com', 'web2.example.com'] }))).toBe(
      'principal-not-allowed',
    );
    expect(codeOf(plan(claims({ validBefore: '1h' }), { validBefore: '2h' }))).toBe('lifetime-not-allowed');
    expect(codeOf(plan(claims({ key: fingerprintOf(hostKey) })))).toBe('planned');
    const otherKey = encodePublicKey(publicKeyFromObject(generateKeyPairSync('ed25519').privateKey));
    expect(codeOf(plan(claims({ key: fingerprintOf(otherKey) })))).toBe('token-wrong-key');
  });

  it('asks the policy again, whatever the token says', () => {
    expect(codeOf(plan(claims({ principals: ['web1.example.org'] })))).toBe('principal-not-allowed');
    expect(codeOf(plan(claims({ type: 'user', principals: ['root'] })))).toBe('principal-not-allowed');
    expect(codeOf(plan(claims({ validBefore: '2161h' })))).toBe('lifetime-not-allowed');
  });

  it('refuses keys that are too small, of a refused type, off their curve, certificates, and junk', () => {
    const blobOf = (object: Parameters<typeof publicKeyFromObject>[0]): string =>
      encodeBase64(encodePublicKey(publicKeyFromObject(object)));
    expect(
      codeOf(plan(claims(), { publicKey: blobOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey) })),
    ).toBe('key-not-allowed');
    const sk = encodePublicKey({ type: 'sk-ssh-ed25519@openssh.com', key: randomBytes(32), application: 'ssh:' });
    expect(codeOf(plan(claims(), { publicKey: encodeBase64(sk) }))).toBe('key-not-allowed');
    const point = randomBytes(65);
    point[0] = 4;
    const offCurve = encodePublicKey({ type: 'ecdsa-sha2-nistp256', point });
    for (const publicKey of ['', 'AAAA', 'not base64', encodeBase64(offCurve), encodeBase64(hostKey.subarray(1))]) {
      expect(codeOf(plan(claims(), { publicKey }))).toBe('key-not-supported');
    }
  });
});
