import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { SignJWT, UnsecuredJWT, createLocalJWKSet, exportJWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeBase64, encodeBase64Url } from '#openssh/base64.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { encodeSshsig, encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import {
  IDENTITY_NAMESPACE,
  type IdentityProof,
  identityNonce,
  identityProofMessage,
} from '#protocol/identity-binding.ts';
import { judgeIdToken } from '#ca-lite/oidc/id-token.ts';
import type { OidcPolicy } from '#ca-lite/oidc/oidc-policy.ts';
import { ProviderError } from '#ca-lite/oidc/provider.ts';
import { isRefusal } from '#ca-lite/refusal.ts';

const now = 1_800_000_000n;
const issuer = 'https://idp.example.com';
const provider = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const user = generateKeyPairSync('ed25519').privateKey;
const stranger = generateKeyPairSync('ed25519').privateKey;
const blobOf = (key: typeof user): Uint8Array => encodePublicKey(publicKeyFromObject(key));
const salt = randomBytes(32);
let getKey: ReturnType<typeof createLocalJWKSet>;

const policy: OidcPolicy = {
  name: 'corp',
  issuer,
  clientId: 'countersign',
  clientSecret: undefined,
  audiences: [],
  trust: undefined,
  algorithms: ['ES256', 'RS256'],
  clockToleranceSeconds: 30,
  maxTokenAgeSeconds: 600,
  nonceBinding: 'required',
  requirements: {
    emailVerified: true,
    domains: [],
    groups: [],
    acr: [],
    amr: [],
    maxAuthAgeSeconds: undefined,
    claims: new Map(),
  },
  principals: [{ from: 'email-local-part' }],
  allowedPrincipals: [],
  lifetimeSeconds: undefined,
  renewal: undefined,
  criticalOptions: [],
  extensions: [],
  client: {
    redirectUris: ['http://127.0.0.1:0/'],
    nonceBinding: 'required',
    deviceFlow: false,
    authorizationParameters: {},
    pushedAuthorization: false,
  },
  scopes: ['openid', 'email'],
};

const good = {
  iss: issuer,
  aud: 'countersign',
  sub: 'u1',
  iat: Number(now) - 5,
  exp: Number(now) + 300,
  nonce: identityNonce(blobOf(user), salt),
  email: 'alice@example.com',
  email_verified: true,
};

async function sign(
  claims: object,
  key = provider.privateKey,
  header: { alg: string; kid?: string } = { alg: 'ES256', kid: 'k1' },
): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader(header).sign(key);
}

function prove(token: string, key = user, of: { salt?: Uint8Array; namespace?: string } = {}): IdentityProof {
  const { namespace = IDENTITY_NAMESPACE } = of;
  const signature = signWithKeyObject(
    key,
    'ssh-ed25519',
    encodeSshsigToBeSigned(identityProofMessage(token), namespace),
  );
  return {
    salt: encodeBase64Url(of.salt ?? salt),
    signature: encodeBase64(encodeSshsig({ keyBlob: blobOf(key), namespace, signature })),
  };
}

async function outcome(
  token: string,
  change: { proof?: IdentityProof | undefined; key?: typeof user; policy?: Partial<OidcPolicy> } = {},
): Promise<string> {
  const proof = 'proof' in change ? change.proof : prove(token, change.key);
  const request = { token, publicKeyBlob: blobOf(change.key ?? user), proof, now };
  const result = await judgeIdToken(request, { ...policy, ...change.policy }, getKey);
  return isRefusal(result) ? result.refused : 'accepted';
}

beforeAll(async () => {
  getKey = createLocalJWKSet({ keys: [{ ...(await exportJWK(provider.publicKey)), kid: 'k1', use: 'sig' }] });
});

describe('an ID token', () => {
  it('is accepted with the key that it was made for', async () => {
    expect(await outcome(await sign(good))).toBe('accepted');
  });

  it('is worthless with another key, for whoever stole it', async () => {
    const token = await sign(good);
    expect(await outcome(token, { key: stranger })).toBe('identity-unbound');
    expect(await outcome(token, { proof: prove(token, stranger) })).toBe('identity-unbound');
    expect(await outcome(token, { proof: undefined })).toBe('identity-unbound');
    expect(await outcome(token, { proof: prove(token, user, { salt: randomBytes(32) }) })).toBe('identity-unbound');
    expect(await outcome(token, { proof: prove(token, user, { namespace: 'file' }) })).toBe('identity-unbound');
    expect(await outcome(token, { proof: prove(await sign({ ...good, jti: 'other' })) })).toBe('identity-unbound');
    for (const junk of ['', 'AAAA', 'not base64']) {
      expect(await outcome(token, { proof: { salt: encodeBase64Url(salt), signature: junk } })).toBe(
        'identity-unbound',
      );
    }
  });

  it('is one token however its signature is written', async () => {
    const token = await sign(good);
    const parts = token.split('.');
    const signature = Buffer.from(parts[2] ?? '', 'base64url');
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const twin = (order - BigInt(`0x${signature.subarray(32).toString('hex')}`)).toString(16).padStart(64, '0');
    const mirrored = Buffer.concat([signature.subarray(0, 32), Buffer.from(twin, 'hex')]).toString('base64url');
    const relaxed = { ...policy, nonceBinding: 'optional' } as const;
    const ids = new Set<string>();
    for (const text of [token, [...parts.slice(0, 2), mirrored].join('.')]) {
      const judged = await judgeIdToken(
        { token: text, publicKeyBlob: blobOf(user), proof: undefined, now },
        relaxed,
        getKey,
      );
      if (isRefusal(judged)) throw new Error(judged.refused);
      ids.add(judged.id);
    }
    expect(ids.size).toBe(1);
  });

  it('needs no proof where the provisioner says so, but a wrong one is refused there too', async () => {
    const token = await sign({ ...good, nonce: 'random' });
    expect(await outcome(token, { proof: undefined, policy: { nonceBinding: 'optional' } })).toBe('accepted');
    expect(await outcome(token, { policy: { nonceBinding: 'optional' } })).toBe('identity-unbound');
  });

  it.each([
    ['another client', { aud: 'other' }, 'token-wrong-audience'],
    ['several audiences without azp', { aud: ['countersign', 'other'] }, 'token-wrong-audience'],
    ['an azp of another client', { azp: 'other' }, 'token-wrong-audience'],
    ['another issuer', { iss: 'https://evil.example.com' }, 'token-invalid'],
    ['an expired one', { exp: Number(now) - 31 }, 'token-expired'],
    ['one from the future', { iat: Number(now) + 31 }, 'token-not-yet-valid'],
    ['one that is not valid yet', { nbf: Number(now) + 31 }, 'token-not-yet-valid'],
    ['an old one', { iat: Number(now) - 601 }, 'token-expired'],
    ['one without exp', { exp: undefined }, 'token-invalid'],
    ['one without sub', { sub: undefined }, 'token-invalid'],
    ['an unverified e-mail address', { email_verified: false }, 'identity-not-accepted'],
  ])('is refused for %s', async (_what, change, code) => {
    expect(await outcome(await sign({ ...good, ...change }))).toBe(code);
  });

  it('is accepted for several audiences with the right azp', async () => {
    expect(await outcome(await sign({ ...good, aud: ['countersign', 'other'], azp: 'countersign' }))).toBe('accepted');
  });

  it('is refused with another signature, key, algorithm, or none', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const pem = provider.publicKey.export({ format: 'pem', type: 'spki' });
    const hmac = await new SignJWT(good)
      .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
      .sign(new TextEncoder().encode(pem));
    const token = await sign(good);
    const cases = [
      await sign(good, other),
      await sign(good, provider.privateKey, { alg: 'ES256', kid: 'unknown' }),
      hmac,
      new UnsecuredJWT(good).encode(),
      `${token.slice(0, -4)}AAAA`,
      token.split('.').slice(0, 2).join('.'),
      '',
    ];
    for (const bad of cases) expect(await outcome(bad)).toBe('token-invalid');
    expect(await outcome(token, { policy: { algorithms: ['RS256'] } })).toBe('token-invalid');
  });

  it('is not judged while the provider cannot be reached', async () => {
    const token = await sign(good);
    const request = { token, publicKeyBlob: blobOf(user), proof: prove(token), now };
    const down = () => Promise.reject(new ProviderError('provider-unreachable', 'it cannot be reached'));
    expect(await judgeIdToken(request, policy, down)).toMatchObject({ refused: 'identity-provider-unavailable' });
  });
});
