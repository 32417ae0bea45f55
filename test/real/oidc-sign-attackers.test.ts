/** Attackers of the sign-in, each with the words of an issuer at hand, against a real `serve`: whatever they bring, each gets its own refusal. */
import { encodeBase64Url } from '#openssh/base64.ts';
import { UnsecuredJWT, SignJWT } from 'jose';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect } from 'vitest';
import { type BoundKey, createBoundKey, proveIdentity } from '#agent/user/login/key-binding.ts';
import { TokenIssuer } from '#test/support/token-issuer.ts';
import { type SignStage, openSignStage } from './oidc-sign-fixture.ts';
import { holds } from './sign-in-promises.ts';

const fromEmail = 'principals = [{ from = "email-local-part" }]';
const sections = {
  corp: `
domains = ["example.com"]
principals = [{ from = "email-local-part" }, { from = "claim", claim = "accounts" }, { from = "claim", claim = "constructor" }]`,
  strict: `acr = ["phr"]\ngroups = ["ssh"]\n${fromEmail}`,
  hangsAtOnce: fromEmail,
  hangsLater: fromEmail,
  htmlAtOnce: fromEmail,
  htmlLater: fromEmail,
  huge: fromEmail,
  broken: fromEmail,
  down: fromEmail,
};
type Name = keyof typeof sections;

let stage: SignStage<Name>;
let corp: TokenIssuer;
let key: BoundKey;
/** From the start, since giving them up takes a while. */
let hanging: Promise<string[]>;

beforeAll(async () => {
  stage = await openSignStage(sections);
  const { issuers } = stage;
  corp = issuers.corp;
  key = createBoundKey();
  issuers.hangsAtOnce.faults.set('discovery', 'hangs');
  issuers.hangsLater.faults.set('keys', 'hangs');
  issuers.htmlAtOnce.faults.set('discovery', 'html');
  issuers.htmlLater.faults.set('keys', 'html');
  issuers.huge.faults.set('keys', 'huge');
  issuers.broken.faults.set('keys', 'broken');
  await issuers.down[Symbol.asyncDispose]();
  hanging = askThoseThatHang();
});
afterAll(async () => stage?.[Symbol.asyncDispose]());

const now = (): number => Math.floor(Date.now() / 1000);
const claims = (change: object = {}): Record<string, unknown> => stage.claimsAt(corp, key, change);
const codeFor = async (token: string): Promise<string> => (await stage.ask(token, key)).code;
const codeOf = async (issuer: TokenIssuer, change: object = {}): Promise<string> =>
  (await stage.signIn(issuer, change)).code;

/** Resolves when both were given up. */
function askThoseThatHang(): Promise<string[]> {
  const { hangsAtOnce, hangsLater } = stage.issuers;
  const answers = Promise.all([codeOf(hangsAtOnce), codeOf(hangsLater)]);
  answers.catch(() => undefined); // until it is waited for
  return answers;
}

holds('provider-hangs', async () => {
  const { hangsAtOnce, hangsLater } = stage.issuers;
  await expect.poll(() => hangsAtOnce.fetches.discovery + hangsLater.fetches.keys, { timeout: 60_000 }).toBe(2);
  let given = hanging;
  const comesFirst = async (): Promise<string> => {
    const other = codeOf(corp);
    const first = await Promise.race([given.then(() => 'given up'), other]);
    await other;
    if (first === 'given up') given = askThoseThatHang(); // this machine stood still for ten seconds: once more
    return first;
  };
  await expect.poll(comesFirst, { timeout: 90_000 }).toBe('issued');
});

holds('other-client', async () => {
  expect(await codeOf(corp, { aud: 'other' })).toBe('token-wrong-audience');
  expect(await codeOf(corp, { aud: ['countersign', 'other'] })).toBe('token-wrong-audience');
  expect(await codeOf(corp, { azp: 'other' })).toBe('token-wrong-audience');
  expect(await codeOf(corp, { aud: undefined })).toBe('token-wrong-audience');
  expect(await codeOf(corp)).toBe('issued');
});

holds('other-issuer', async () => {
  await using stranger = await TokenIssuer.start();
  expect(await codeOf(stranger)).toBe('token-invalid');
  expect(await codeOf(stranger, { iss: corp.issuer })).toBe('token-invalid'); // with a `kid` that ours has, too
  expect(await codeOf(corp, { iss: stage.issuers.strict.issuer })).toBe('token-invalid');
  expect(await codeOf(corp, { iss: `${corp.issuer}/` })).toBe('token-invalid');
  expect(stranger.fetches).toEqual({ discovery: 0, keys: 0 }); // a token does not say where to look
});

holds('no-signature', async () => {
  expect(await codeFor(new UnsecuredJWT(claims()).encode())).toBe('token-invalid');
  const [, payload, signature] = (await corp.sign(claims())).split('.');
  for (const alg of ['none', 'None', 'NONE', '']) {
    const header = encodeBase64Url(Buffer.from(JSON.stringify({ alg, kid: corp.kid })));
    expect(await codeFor(`${header}.${payload}.${signature}`)).toBe('token-invalid');
    expect(await codeFor(`${header}.${payload}.`)).toBe('token-invalid');
  }
});

holds('hmac-with-public-key', async () => {
  const pem = corp.publicKey.export({ format: 'pem', type: 'spki' });
  const der = corp.publicKey.export({ format: 'der', type: 'spki' });
  for (const alg of ['HS256', 'HS384', 'HS512']) {
    for (const secret of [Buffer.from(pem), Buffer.from(pem.trim()), der]) {
      const token = await new SignJWT(claims()).setProtectedHeader({ alg, kid: corp.kid }).sign(secret);
      expect(await codeFor(token)).toBe('token-invalid');
    }
  }
});

holds('other-bytes', async () => {
  const [header, , signature] = (await corp.sign(claims({ email: 'mallory@example.com' }))).split('.');
  const payload = encodeBase64Url(Buffer.from(JSON.stringify(claims())));
  expect(await codeFor(`${header}.${payload}.${signature}`)).toBe('token-invalid');
});

holds('token-from-the-past', async () => {
  expect(await codeOf(corp, { iat: now() - 120, exp: now() - 60 })).toBe('token-expired');
  expect(await codeOf(corp, { iat: now() - 86_400 })).toBe('token-expired'); // valid still, and old
  expect(await codeOf(corp, { exp: undefined })).toBe('token-invalid');
  expect(await codeOf(corp, { iat: undefined })).toBe('token-invalid');
});

holds('token-from-the-future', async () => {
  expect(await codeOf(corp, { iat: now() + 120 })).toBe('token-not-yet-valid');
  expect(await codeOf(corp, { nbf: now() + 120 })).toBe('token-not-yet-valid');
});

holds('token-in-parts', async () => {
  const token = await corp.sign(claims());
  const marked = `${token.split('.')[0]}.${encodeBase64Url(Buffer.from('<script>alert(1)</script>'))}.AAAA`;
  for (const text of ['', '.', '..', 'a.b.c', token.slice(0, -100), `${token}.${token}`, marked, '\u0000', '🦊']) {
    const asked = await stage.ask(text, key);
    expect(asked.code).toBe('token-invalid');
    expect(asked.text).not.toContain('script');
  }
});

holds('replayed', async () => {
  const token = await corp.sign(claims());
  expect([await codeFor(token), await codeFor(token)]).toEqual(['issued', 'token-used']);
});

holds('replayed-at-once', async () => {
  const token = await corp.sign(claims());
  const codes = await Promise.all(Array.from({ length: 16 }, async () => codeFor(token)));
  expect(codes.filter((code) => code === 'issued')).toHaveLength(1);
  expect(codes.filter((code) => code === 'token-used')).toHaveLength(15);
});

holds('replayed-in-other-letters', async () => {
  const token = await corp.sign(claims());
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = letters.indexOf(token.at(-1) ?? '');
  const spellings = Array.from({ length: 16 }, (_, low) => token.slice(0, -1) + letters[(last & 0x30) | low]);
  expect(await codeFor(token)).toBe('issued');
  for (const spelling of spellings) expect(await codeFor(spelling)).toMatch(/^token-(used|invalid)$/);
});

holds('other-nonce', async () => {
  expect(await codeOf(corp, { nonce: createBoundKey().nonce })).toBe('identity-unbound');
  expect(await codeOf(corp, { nonce: undefined })).toBe('identity-unbound');
  expect(await codeOf(corp, { nonce: [key.nonce] })).toBe('identity-unbound');
});

holds('stolen-token', async () => {
  const token = await corp.sign(claims());
  const thief = createBoundKey();
  const proofs = {
    'of the thief': proveIdentity(thief, token),
    'of the thief, with the salt of the owner': { ...proveIdentity(thief, token), salt: encodeBase64Url(key.salt) },
    'of the owner, over another token': proveIdentity(key, await corp.sign(claims({ jti: 'another' }))),
    'without a salt that fits': { ...proveIdentity(key, token), salt: encodeBase64Url(randomBytes(32)) },
    none: undefined,
  };
  for (const [what, identityProof] of Object.entries(proofs)) {
    expect((await stage.ask(token, key, { identityProof })).code, what).toBe('identity-unbound');
    expect((await stage.ask(token, thief, { identityProof })).code, what).toBe('identity-unbound');
  }
  expect(await codeFor(token)).toBe('issued'); // and trying does not spend it
});

holds('no-host-certificate', async () => {
  const token = await corp.sign(claims());
  const { code } = await stage.ask(token, key, { certType: 'host', principals: ['web1.lab.example'] });
  expect(code).toBe('certificate-type-not-allowed');
});

holds('unverified-email', async () => {
  for (const value of [false, undefined, 'true', 1, null])
    expect(await codeOf(corp, { email_verified: value })).toBe('identity-not-accepted');
});

holds('other-domain', async () => {
  const addresses = [
    'alice@notexample.com',
    'alice@example.com.evil.test',
    'alice@evil.test@example.com',
    '@example.com',
  ];
  for (const email of addresses) expect(await codeOf(corp, { email })).toBe('identity-not-accepted');
});

holds('missing-acr', async () => {
  const { strict } = stage.issuers;
  for (const acr of [undefined, 'pwd', '', ['phr'], 'phr pwd', { phr: true }])
    expect(await codeOf(strict, { acr })).toBe('identity-not-accepted');
  expect(await codeOf(strict)).toBe('issued');
});

holds('hostile-principal', async () => {
  const hostile = [
    'alice,root',
    'alice\nroot',
    'alice\u0000root',
    '*',
    '',
    'a?',
    ' alice',
    'alice\u202e',
    '!alice',
    'root,',
  ];
  for (const name of hostile) {
    expect(await codeOf(corp, { accounts: name }), JSON.stringify(name)).toBe('identity-not-accepted');
    expect(await codeOf(corp, { accounts: ['alice', name] }), JSON.stringify(name)).toBe('identity-not-accepted');
  }
  for (const local of ['alice,root', 'alice\nroot', '*', ''])
    expect(await codeOf(corp, { email: `${local}@example.com` })).toBe('identity-not-accepted');
  for (const accounts of [{ root: true }, 1, true, [['root']], [null]])
    expect(await codeOf(corp, { accounts })).toBe('identity-not-accepted');
});

holds('inherited-claim', async () => {
  const { code, certificate } = await stage.signIn(corp);
  expect([code, certificate?.principals]).toEqual(['issued', ['alice']]);
});

holds('groups-as-text', async () => {
  const { strict } = stage.issuers;
  for (const groups of ['ssh', 'ssh,admins', '["ssh"]', { ssh: true }, [['ssh']], ['SSH'], [], undefined])
    expect(await codeOf(strict, { groups }), JSON.stringify(groups)).toBe('identity-not-accepted');
});

holds('many-groups', async () => {
  const { strict } = stage.issuers;
  const groups = ['ssh', ...Array.from({ length: 9999 }, (_, i) => `group ${i}`)];
  const [tooLong, short] = [
    await stage.signIn(strict, { groups }),
    await stage.signIn(strict, { groups: groups.map(() => 's') }),
  ];
  expect(['bad-request', 'body-too-large']).toContain(tooLong.code);
  expect(['bad-request', 'body-too-large']).toContain(short.code);
  expect(await codeOf(strict, { groups: groups.slice(0, 1001).map((_, i) => (i === 0 ? 'ssh' : 'x')) })).toBe(
    'identity-not-accepted',
  );
  expect(await codeOf(strict, { groups: groups.slice(0, 1000).map((_, i) => (i === 0 ? 'ssh' : 'x')) })).toBe('issued');
});

holds('principal-outside', async () => {
  expect(await codeOf(corp, { email: 'mallory@example.com' })).toBe('principal-not-allowed');
  expect(await codeOf(corp, { accounts: ['root'] })).toBe('principal-not-allowed');
});

holds('hostile-key-id', async () => {
  const { certificate } = await stage.signIn(stage.issuers.strict, {
    email: 'alice@evil.test\nAccepted publickey for root\u001b[2J',
  });
  expect(certificate?.keyId).toMatch(/^[\x20-\x7e]+$/);
  expect(certificate?.keyId).not.toContain('publickey for');
});

holds('key-set-huge', async () => {
  const { code, retryAfter } = await stage.signIn(stage.issuers.huge);
  expect(code).toBe('identity-provider-unavailable');
  expect(Number(retryAfter)).toBeGreaterThan(0);
});

holds('provider-html', async () => {
  const { htmlAtOnce, htmlLater } = stage.issuers;
  expect(await codeOf(htmlAtOnce)).toBe('identity-provider-unavailable');
  expect(await codeOf(htmlLater)).toBe('identity-provider-unavailable');
});

holds('provider-down', async () => {
  const { down, broken } = stage.issuers;
  for (const issuer of [down, broken]) {
    const { code, retryAfter } = await stage.signIn(issuer);
    expect(code).toBe('identity-provider-unavailable');
    expect(Number(retryAfter)).toBeGreaterThan(0);
  }
});

holds('key-rotation', async () => {
  expect(await codeOf(corp)).toBe('issued');
  const before = corp.fetches.keys;
  const old = await corp.sign(claims());
  corp.rotate();
  await expect.poll(async () => codeOf(corp), { timeout: 90_000, interval: 250 }).toBe('issued'); // fetches are paced
  expect(corp.fetches.keys).toBe(before + 1);
  expect(await codeFor(old)).toBe('token-invalid');
});

holds('unknown-keys-flood', async () => {
  expect(await codeOf(corp)).toBe('issued');
  const [before, start] = [corp.fetches.keys, performance.now()];
  for (let round = 0; round < 10; round++) {
    const flood = Array.from({ length: 20 }, async (_, i) => {
      const header = { alg: 'RS256', kid: `invented-${round}-${i}` };
      return codeFor(await corp.sign(claims(), header));
    });
    expect(new Set(await Promise.all(flood))).toEqual(new Set(['token-invalid']));
  }
  const seconds = (performance.now() - start) / 1000;
  expect(corp.fetches.keys - before).toBeLessThanOrEqual(1 + Math.floor(seconds / 10));
  expect(await codeOf(corp)).toBe('issued');
});

holds('provider-given-up', async () => {
  expect(await hanging).toEqual(['identity-provider-unavailable', 'identity-provider-unavailable']);
  const { code, retryAfter } = await stage.signIn(stage.issuers.hangsAtOnce);
  expect(code).toBe('identity-provider-unavailable');
  expect(Number(retryAfter)).toBeGreaterThan(0);
});
