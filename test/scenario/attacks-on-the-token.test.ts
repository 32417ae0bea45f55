/** Step 5 under attack: tokens that are used, borrowed, foreign, forged or late. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, expect } from 'vitest';
import { caLayout } from '#ca-lite/directory/layout.ts';
import { readSecret } from '#ca-lite/directory/secrets.ts';
import { makeClaims } from '#ca-lite/token/one-time-token.ts';
import { loadTokenKey } from '#ca-lite/token/token-key.ts';
import { decodeBase64, encodeBase64Url } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import type { OneTimeTokenClaims } from '#protocol/one-time-token.ts';
import { PASSPHRASE } from '#test/support/ca.ts';
import { bodyOf, hostKeyPair, prove } from '#test/support/enrolment-client.ts';
import { holds } from './promises.ts';
import { type HonestHost, type Stage, expectRefused, openStage } from './stage.ts';

let stage: Stage;
let host: HonestHost;

beforeAll(async () => {
  stage = await openStage();
  host = await stage.addHost('web1');
});
afterAll(async () => stage?.[Symbol.asyncDispose]());

/** A token of the enrolment; as long as it is not spent, the host can get another. */
async function newToken({ claim, key }: HonestHost = host): Promise<string> {
  const challenge = bodyOf(await stage.client.challenge(claim));
  return bodyOf(await stage.client.token(challenge, prove(challenge, key))).token;
}

const sign =
  (token: string, key: Uint8Array = host.key.blob, more: object = {}) =>
  async () =>
    stage.client.sign(token, key, more);

function claimsIn(token: string): OneTimeTokenClaims {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as OneTimeTokenClaims;
}

/** Claims signed by the CA's own token key, as nobody outside can: what stands in them has to be judged all the same. */
async function signedByCa(claims: OneTimeTokenClaims): Promise<string> {
  const { directory } = stage.ca.ca;
  const key = await loadTokenKey(await readSecret(caLayout(directory), 'token', Buffer.from(PASSPHRASE)));
  return key.sign(claims);
}

holds('token-twice', async () => {
  const twice = await stage.addHost('twice');
  const token = await newToken(twice);
  const together = await Promise.all(Array.from({ length: 10 }, sign(token, twice.key.blob)));
  const codes = together.map(({ status, json }) => (status === 201 ? 'accepted' : String(json?.code)));
  expect(codes.toSorted()).toEqual(['accepted', ...Array.from({ length: 9 }, () => 'token-used')]);
  await expectRefused(stage, 'token-used', sign(token, twice.key.blob));
  const page = await stage.store.certificates({ keyFingerprint: twice.key.fingerprint }, { limit: 10 });
  expect(page.items.map(({ state }) => state)).toEqual(['issued']);
});

holds('token-other-key', async () => {
  const honest = await stage.addHost('honest');
  const token = await newToken(honest);
  const stranger = hostKeyPair(generateKeyPairSync('ed25519').privateKey);
  await expectRefused(stage, 'token-wrong-key', sign(token, stranger.blob));
  await expectRefused(stage, 'key-not-supported', sign(token, Buffer.from('no key')));
  const { crt } = bodyOf(await stage.client.sign(token, honest.key.blob));
  expect(decodeCertificate(decodeBase64(crt)).principals).toEqual([honest.name]);
});

holds('token-other-name', async () => {
  const token = await newToken();
  const principals = [['db1.lab.example'], [host.name, 'db1.lab.example'], ['*.lab.example'], ['web1'], ['root']];
  for (const wanted of principals) {
    await expectRefused(stage, 'principal-not-allowed', sign(token, host.key.blob, { principals: wanted }));
  }
  await expectRefused(stage, 'certificate-type-not-allowed', sign(token, host.key.blob, { certType: 'user' }));
  await expectRefused(stage, 'lifetime-not-allowed', sign(token, host.key.blob, { validBefore: '2400h' }));
});

holds('token-other-audience', async () => {
  const claims = claimsIn(await newToken());
  const wrong = [
    claims.aud.replace('ca.lab.example', 'ca.other.example'),
    claims.aud.replace('ssh/sign', 'ssh/renew'),
    claims.aud.replace('ssh/sign', 'host/token'),
    claims.aud.replace('https:', 'http:'),
    `${claims.aud}#elsewhere`,
    'ca.lab.example',
  ];
  for (const aud of wrong) {
    await expectRefused(stage, 'token-wrong-audience', sign(await signedByCa({ ...claims, aud })));
  }
});

holds('token-forged', async () => {
  const token = await newToken();
  const [header = '', payload = '', signature = ''] = token.split('.');
  const unsigned = encodeBase64Url(Buffer.from('{"alg":"none","typ":"JWT"}'));
  const hmac = encodeBase64Url(Buffer.from('{"alg":"HS256","typ":"JWT"}'));
  const altered = encodeBase64Url(Buffer.from(JSON.stringify({ ...claimsIn(token), sub: 'db1.lab.example' })));
  const foreign = await loadTokenKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  const forged = [
    `${unsigned}.${payload}.`,
    `${hmac}.${payload}.${signature}`,
    `${header}.${altered}.${signature}`,
    `${header}.${payload}.`,
    `${header}.${payload}`,
    await foreign.sign(claimsIn(token)),
    // Signed by the CA's key, and never recorded: a stolen copy of the key does not make tokens.
    await signedByCa({ ...claimsIn(token), jti: 'an-invented-token-id' }),
    'no token',
  ];
  for (const one of forged) await expectRefused(stage, 'token-invalid', sign(one));
});

holds('token-expired', async () => {
  const claims = claimsIn(await newToken());
  const past = claims.iat - 600;
  const old = { ...claims, iat: past, nbf: past, exp: past + 300 };
  await expectRefused(stage, 'token-expired', sign(await signedByCa(old)));
  const ahead = { ...claims, iat: claims.iat + 600, nbf: claims.nbf + 600, exp: claims.exp + 600 };
  await expectRefused(stage, 'token-not-yet-valid', sign(await signedByCa(ahead)));
  const long = makeClaims(
    { provisioner: 'admin', type: 'host', keyId: host.name, principals: [host.name], validBefore: '' },
    {
      authority: 'ca.lab.example',
      rootFingerprint: '',
      now: BigInt(claims.iat),
      lifetimeSeconds: 4000,
      tokenId: 'a-token-that-lives-long',
    },
  );
  await expectRefused(stage, 'token-invalid', sign(await signedByCa(long)));
});
