/** SSHPOP tokens: what is verified before anything is looked up. */
import { describe, expect, test } from 'vitest';
import { generateKeyPairSync } from 'node:crypto';
import { assembleCertificate, encodeToBeSigned, type CertificateType } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { useOf, verifySshpop } from '#ca-lite/lineage/sshpop-token.ts';
import { isRefusal } from '#ca-lite/refusal.ts';
import { type HostKey, type TokenParts, makeHostKey, sshpopToken } from '../../../support/sshpop-client.ts';

const NAME = 'ca.example.internal';
const now = 1_800_000_000n;
const caKey = generateKeyPairSync('ed25519').privateKey;
const hostCas = new Set([fingerprintOf(encodePublicKey(publicKeyFromObject(caKey)))]);
const hostKey = makeHostKey();

function certify(key: HostKey, type: CertificateType = 'host', ca = caKey): Uint8Array {
  const bytes = encodeToBeSigned({
    key: key.publicKey,
    type,
    serial: 2n ** 63n + 5n,
    keyId: 'web1',
    principals: ['web1'],
    validAfter: now - 100n,
    validBefore: now - 50n,
    criticalOptions: [],
    extensions: [],
    nonce: new Uint8Array(32),
    signatureKey: publicKeyFromObject(ca),
  });
  return assembleCertificate(bytes, signWithKeyObject(ca, 'ssh-ed25519', bytes));
}

const certificate = certify(hostKey);
function verify(changes: Partial<TokenParts> = {}) {
  const parts = { key: hostKey, certificate, operation: 'renew', authority: NAME, now, ...changes } as const;
  return verifySshpop(sshpopToken(parts), { operation: 'renew', dnsNames: [NAME], hostCas, now });
}
const codeOf = (changes: Partial<TokenParts>) => {
  const result = verify(changes);
  return isRefusal(result) ? result.refused : 'ok';
};

describe('an SSHPOP token', () => {
  test.each(['ed25519', 'p256', 'p384', 'p521'] as const)(
    'by a key %s proves its certificate, expired or not',
    (kind) => {
      const key = makeHostKey(kind);
      const result = verify({ key, certificate: certify(key) });
      if (isRefusal(result)) throw new Error(result.message);
      expect(result.certificate.serial).toBe(2n ** 63n + 5n);
      expect(useOf(result).id).toContain(result.claims.jti);
      expect(useOf(result).expiresAt).toBe(now + 360n);
    },
  );

  const flawed: [string, Partial<TokenParts>][] = [
    ['token-wrong-audience', { operation: 'rekey' }],
    ['token-wrong-audience', { authority: 'other.example' }],
    ['token-wrong-audience', { claims: { aud: `https://${NAME}/1.0/ssh/renew` } }],
    ['token-wrong-audience', { claims: { aud: `https://${NAME}/1.0/ssh/renew#sshpop/other` } }],
    ['token-wrong-audience', { claims: { aud: `http://${NAME}/1.0/ssh/renew#sshpop/sshpop` } }],
    ['token-invalid', { claims: { aud: ['https://a', 'https://b'] } }],
    ['token-invalid', { claims: { iss: 'admin' } }],
    ['token-invalid', { claims: { sub: '1' } }],
    ['token-invalid', { claims: { exp: undefined } }],
    ['token-invalid', { claims: { iat: undefined } }],
    ['token-invalid', { claims: { nbf: undefined } }],
    ['token-invalid', { claims: { jti: undefined } }],
    ['token-invalid', { claims: { jti: 'short' } }],
    ['token-invalid', { claims: { exp: Number(now) + 601 } }],
    ['token-invalid', { claims: { exp: Number(now) } }],
    ['token-invalid', { header: { alg: 'none' } }],
    ['token-invalid', { header: { alg: 'HS256' } }],
    ['token-invalid', { header: { alg: 'ES256' } }],
    ['token-invalid', { header: { typ: 'JWE' } }],
    ['token-invalid', { header: { crit: ['b64'], b64: false } }],
    ['token-invalid', { header: { sshpop: undefined } }],
    ['token-invalid', { header: { sshpop: 'AAAA' } }],
    ['token-invalid', { key: makeHostKey() }],
    ['token-invalid', { certificate: certify(hostKey, 'user') }],
    ['certificate-unknown', { certificate: certify(hostKey, 'host', generateKeyPairSync('ed25519').privateKey) }],
    ['token-expired', { now: now - 360n }],
    ['token-not-yet-valid', { now: now + 61n }],
    ['token-not-yet-valid', { claims: { nbf: Number(now) + 61 } }],
  ];
  test.each(flawed)('is refused with %s for %o', (code, changes) => {
    expect(codeOf(changes)).toBe(code);
  });

  test.each<Partial<TokenParts>>([
    { now: now - 359n },
    { now: now + 60n },
    { claims: { aud: `https://${NAME}:9443/ssh/renew#sshpop/sshpop` } },
    { claims: { aud: [`https://${NAME}/1.0/ssh/renew#sshpop/sshpop`] } },
    { header: { typ: undefined } },
  ])('is taken with %o', (changes) => {
    expect(codeOf(changes)).toBe('ok');
  });

  test('is nothing without three parts, or with other bytes than were signed', () => {
    const token = sshpopToken({ key: hostKey, certificate, operation: 'renew', authority: NAME, now });
    const [header, payload, signature] = token.split('.');
    const expected = { operation: 'renew', dnsNames: [NAME], hostCas, now } as const;
    const others = [
      '',
      '.',
      '..',
      token.slice(0, -3),
      `${token}.`,
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${header}..${signature}`,
    ];
    for (const other of [...others, token.replace('.', ' .'), `${token}${'A'.repeat(40_000)}`]) {
      expect(verifySshpop(other, expected)).toMatchObject({ refused: 'token-invalid' });
    }
  });

  test('of a certificate with any bit of the CA signature changed is refused', () => {
    const changed = Uint8Array.from(certificate);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    expect(codeOf({ certificate: changed })).toBe('token-invalid');
  });
});
