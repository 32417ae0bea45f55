/** User certificates for ID tokens of a real OpenID provider, through a real `serve`: authorization code with PKCE, bound to the SSH key. */
import { type KeyObject, generateKeyPairSync, randomBytes } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as oidc from 'openid-client';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeBase64, encodeBase64, encodeBase64Url } from '#openssh/base64.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { encodeSshsig, encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import {
  IDENTITY_NAMESPACE,
  type IdentityProof,
  identityNonce,
  identityProofMessage,
} from '#protocol/identity-binding.ts';
import { type OpenidProvider, startOpenidProvider } from '#test/simulator/openid-provider/openid-provider.ts';
import { signIn } from '#test/simulator/openid-provider/scripted-browser.ts';
import { type RunningCa, makeCa } from '#test/support/ca.ts';

const redirectUri = 'http://127.0.0.1:12345/callback';
let directory: string;
let idp: OpenidProvider;
let otherIdp: OpenidProvider;
let ca: RunningCa;
let http: Agent;

const accounts = {
  alice: { claims: { email: 'alice@example.com', email_verified: true, groups: ['ssh', 'dba'] } },
  mallory: { claims: { email: 'mallory@example.com', email_verified: false, groups: ['ssh'] } },
  guest: { claims: { email: 'guest@example.org', email_verified: true, groups: ['ssh'] } },
  outsider: { claims: { email: 'outsider@example.com', email_verified: true, groups: [] } },
};
const client = {
  client_id: 'countersign',
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  redirect_uris: [redirectUri],
  grant_types: ['authorization_code'],
  response_types: ['code'],
} as const;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'countersign-oidc-'));
  const clients = [client, { ...client, client_id: 'other-client' }].map((entry) => ({
    ...entry,
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code'],
    response_types: ['code' as const],
  }));
  idp = await startOpenidProvider({ accounts, clients });
  otherIdp = await startOpenidProvider({ accounts, clients });
  const made = await makeCa({
    within: directory,
    quick: true,
    initOptions: ['--allow-user', 'alice', '--allow-user', 'postgres'],
  });
  await appendFile(
    join(made.directory, 'ca.toml'),
    `
[[oidc]]
name = "corp"
issuer = "${idp.issuer}"
client_id = "countersign"
ca_certificates = """
${idp.root}"""
domains = ["example.com"]
groups = ["ssh"]
lifetime = "1h"
extensions = ["permit-pty"]
source_address = "127.0.0.0/8,::1/128"
principals = [{ from = "email-local-part" }, { from = "group", group = "dba", principals = ["postgres"] }]
`,
  );
  ca = await made.serve();
  http = new Agent({ connect: { ca: await readFile(join(made.directory, 'certs', 'root_ca.crt'), 'utf8') } });
});

afterAll(async () => {
  await http?.destroy();
  await ca?.[Symbol.asyncDispose]();
  await idp?.[Symbol.asyncDispose]();
  await otherIdp?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

interface SignedIn {
  readonly token: string;
  readonly key: KeyObject;
  readonly blob: Uint8Array;
  readonly salt: Uint8Array;
}

/** The whole authorization code flow, with openid-client on our side. */
async function signInAs(login: string, of: { provider?: OpenidProvider; clientId?: string } = {}): Promise<SignedIn> {
  const { provider = idp, clientId = 'countersign' } = of;
  const key = generateKeyPairSync('ed25519').privateKey;
  const [blob, salt] = [encodePublicKey(publicKeyFromObject(key)), randomBytes(32)];
  const trusting = new Agent({ connect: { ca: provider.root } });
  const fetching: oidc.CustomFetch = async (url, options) =>
    fetch(url, { ...options, dispatcher: trusting } as unknown as RequestInit);
  const config = await oidc.discovery(new URL(provider.issuer), clientId, undefined, oidc.None(), {
    [oidc.customFetch]: fetching,
  });
  config[oidc.customFetch] = fetching;
  const verifier = oidc.randomPKCECodeVerifier();
  const [state, nonce] = [oidc.randomState(), identityNonce(blob, salt)];
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid email groups',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  });
  const back = await signIn(url.href, redirectUri, { login, root: provider.root });
  const tokens = await oidc.authorizationCodeGrant(config, back, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
  });
  await trusting.destroy();
  return { token: tokens.id_token ?? '', key, blob, salt };
}

function prove({ token, key, blob, salt }: SignedIn): IdentityProof {
  const signature = signWithKeyObject(
    key,
    'ssh-ed25519',
    encodeSshsigToBeSigned(identityProofMessage(token), IDENTITY_NAMESPACE),
  );
  return {
    salt: encodeBase64Url(salt),
    signature: encodeBase64(encodeSshsig({ keyBlob: blob, namespace: IDENTITY_NAMESPACE, signature })),
  };
}

async function ask(
  signedIn: SignedIn,
  change: Record<string, unknown> = {},
): Promise<{ code: string; certificate?: Certificate }> {
  const body = {
    publicKey: encodeBase64(signedIn.blob),
    ott: signedIn.token,
    certType: 'user',
    identityProof: prove(signedIn),
    ...change,
  };
  const reply = await request(`${ca.url}/ssh/sign`, {
    method: 'POST',
    dispatcher: http,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const json = (await reply.body.json()) as { crt?: string; code?: string };
  return json.crt === undefined
    ? { code: json.code ?? '' }
    : { code: 'issued', certificate: decodeCertificate(decodeBase64(json.crt)) };
}

describe('a sign-in', () => {
  it('gets a certificate with the principals of the claims, and the options of the policy', async () => {
    const { certificate } = await ask(await signInAs('alice'));
    expect(certificate?.principals).toEqual(['alice', 'postgres']);
    expect(certificate?.extensions.map(({ name }) => name)).toEqual(['permit-pty']);
    expect(certificate?.criticalOptions.map(({ name }) => name)).toEqual(['source-address']);
    expect(certificate?.keyId).toMatch(/^alice@example\.com via corp at \d{4}-/);
    expect(Number((certificate?.validBefore ?? 0n) - (certificate?.validAfter ?? 0n))).toBe(3660);
  });

  it('works once, also when it comes in several requests at once', async () => {
    const signedIn = await signInAs('alice');
    const codes = (await Promise.all(Array.from({ length: 8 }, async () => ask(signedIn)))).map(({ code }) => code);
    expect(codes.filter((code) => code === 'issued')).toHaveLength(1);
    expect(codes.filter((code) => code === 'token-used')).toHaveLength(7);
  });

  it('is worthless to a thief of the ID token', async () => {
    const [stolen, thief] = [await signInAs('alice'), generateKeyPairSync('ed25519').privateKey];
    const blob = encodePublicKey(publicKeyFromObject(thief));
    expect((await ask({ ...stolen, key: thief, blob })).code).toBe('identity-unbound');
    expect((await ask({ ...stolen, key: thief })).code).toBe('identity-unbound');
    expect((await ask(stolen, { identityProof: undefined })).code).toBe('identity-unbound');
    expect((await ask(stolen)).code).toBe('issued');
  });

  it.each([
    ['mallory', 'identity-not-accepted'],
    ['guest', 'identity-not-accepted'],
    ['outsider', 'identity-not-accepted'],
  ])('of %s is refused: %s', async (login, code) => {
    expect((await ask(await signInAs(login))).code).toBe(code);
  });

  it('for another client, or at another provider, is refused', async () => {
    expect((await ask(await signInAs('alice', { clientId: 'other-client' }))).code).toBe('token-wrong-audience');
    expect((await ask(await signInAs('alice', { provider: otherIdp }))).code).toBe('token-invalid');
  });

  it('never makes a host certificate', async () => {
    expect((await ask(await signInAs('alice'), { certType: 'host' })).code).toBe('certificate-type-not-allowed');
  });
});

describe('the provisioner', () => {
  it('is listed for step clients and for ours', async () => {
    const reply = await request(`${ca.url}/provisioners?limit=100`, { dispatcher: http });
    const { provisioners } = (await reply.body.json()) as { provisioners: Record<string, unknown>[] };
    expect(provisioners.find(({ name }) => name === 'corp')).toMatchObject({
      type: 'OIDC',
      clientID: 'countersign',
      clientSecret: '',
      configurationEndpoint: `${idp.issuer}/.well-known/openid-configuration`,
      countersign: { nonceBinding: 'required', redirectUris: ['http://127.0.0.1:0/'] },
    });
  });
});
