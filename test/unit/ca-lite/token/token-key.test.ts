import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { SignJWT, UnsecuredJWT, exportSPKI, importJWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { isRefusal } from '#ca-lite/refusal.ts';
import { ADMIN_PROVISIONER, makeClaims } from '#ca-lite/token/one-time-token.ts';
import { type TokenKey, loadTokenKey } from '#ca-lite/token/token-key.ts';

const now = 1_800_000_000n;
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const grant = {
  provisioner: ADMIN_PROVISIONER,
  type: 'host',
  keyId: 'web1.example.com',
  principals: ['web1.example.com'],
  validBefore: '',
} as const;
const context = {
  authority: 'ca.example.com:8443',
  rootFingerprint: 'ab'.repeat(32),
  now,
  lifetimeSeconds: 300,
  tokenId: 'x'.repeat(24),
};
const claims = makeClaims(grant, context);
const expected = { issuers: [ADMIN_PROVISIONER], dnsNames: ['ca.example.com'], now };
let key: TokenKey;

async function outcome(token: string, at = expected): Promise<string> {
  const result = await key.verify(token, at);
  return isRefusal(result) ? result.refused : 'accepted';
}

beforeAll(async () => {
  key = await loadTokenKey(privateKey);
});

describe('one-time tokens', () => {
  it('accepts its own', async () => {
    expect(await key.verify(await key.sign(claims), expected)).toMatchObject({
      sub: 'web1.example.com',
      jti: context.tokenId,
    });
  });

  it('publishes the public half and nothing of the private one', () => {
    expect(Object.keys(key.publicJwk).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
  });

  it('refuses expired, early, long-lived and foreign ones, each with its own code', async () => {
    const token = await key.sign(claims);
    expect(await outcome(token, { ...expected, now: now + 361n })).toBe('token-expired');
    expect(await outcome(token, { ...expected, now: now - 61n })).toBe('token-not-yet-valid');
    expect(await outcome(token, { ...expected, dnsNames: ['other.example.com'] })).toBe('token-wrong-audience');
    expect(await outcome(token, { ...expected, issuers: ['host-enrolment'] })).toBe('token-invalid');
    expect(await outcome(await key.sign({ ...claims, exp: claims.iat + 3601 }))).toBe('token-invalid');
    expect(await outcome(await key.sign({ ...claims, aud: 'https://ca.example.com:8443/1.0/ssh/renew' }))).toBe(
      'token-wrong-audience',
    );
  });

  it.each(['exp', 'iat', 'nbf', 'jti', 'aud', 'sub', 'step'] as const)('refuses one without %s', async (claim) => {
    const { [claim]: _, ...rest } = claims;
    expect(await outcome(await key.sign(rest as typeof claims))).toBe('token-invalid');
  });

  it('refuses one with no principals', async () => {
    const step = { ssh: { ...claims.step.ssh, principals: [] } };
    expect(await outcome(await key.sign({ ...claims, step }))).toBe('token-invalid');
  });

  it('refuses every other algorithm, also with the public key as an HMAC secret', async () => {
    const pem = await exportSPKI(
      (await importJWK({ ...key.publicJwk }, 'ES256', { extractable: true })) as Parameters<typeof exportSPKI>[0],
    );
    const hmac = await new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .sign(createHmac('sha256', pem).digest());
    const byPem = await new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .sign(new TextEncoder().encode(pem));
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const byRsa = await new SignJWT({ ...claims }).setProtectedHeader({ alg: 'RS256', typ: 'JWT' }).sign(rsa);
    const otherKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const byOther = await new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', typ: 'JWT' }).sign(otherKey);
    for (const token of [hmac, byPem, byRsa, byOther, new UnsecuredJWT({ ...claims }).encode()]) {
      expect(await outcome(token)).toBe('token-invalid');
    }
  });

  it('refuses headers that ask for more, though our key signed them', async () => {
    const signed = (header: object, payload = JSON.stringify(claims)): string => {
      const text = [JSON.stringify(header), payload].map((part) => Buffer.from(part).toString('base64url')).join('.');
      const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${text}.${signature.toString('base64url')}`;
    };
    const header = { alg: 'ES256', typ: 'JWT' };
    expect(await outcome(signed(header))).toBe('accepted');
    for (const more of [
      { crit: ['b64'] },
      { b64: false },
      { typ: 'at+jwt' },
      { typ: undefined },
      { alg: 'ES384' },
      { alg: 'es256' },
    ])
      expect(await outcome(signed({ ...header, ...more }))).toBe('token-invalid');
    for (const payload of ['null', '[]', '1', '{', '{"iss":{}}', JSON.stringify({ ...claims, exp: '1' }), '\ufeff{}'])
      expect(await outcome(signed(header, payload))).toBe('token-invalid');
    const der = sign('sha256', Buffer.from('a.b'), privateKey).toString('base64url');
    const [head = '', body = '', signature = ''] = signed(header).split('.');
    for (const token of [
      `${head}.${body}.${der}`,
      `${head}.${body}.${signature}=`,
      `${head}=.${body}.${signature}`,
      `${head}.${body}.${signature}.`,
    ])
      expect(await outcome(token)).toBe('token-invalid');
  });

  it('refuses altered and random text', async () => {
    const token = await key.sign(claims);
    for (const at of [3, token.indexOf('.') + 5, token.length - 5]) {
      const flipped = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      expect(await outcome(flipped)).toBe('token-invalid');
    }
    for (const text of [
      '',
      '.',
      '..',
      'a.b.c',
      `${token}.${token}`,
      token.slice(0, -10),
      publicKey.asymmetricKeyType ?? '',
    ]) {
      expect(await outcome(text)).toBe('token-invalid');
    }
  });
});
