/** What identity providers insist on, at a real one that insists: pushed requests, a client secret, one fixed port, `max_age`. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { request } from 'undici';
import { createBoundKey } from '#agent/user/login/key-binding.ts';
import type { Provisioner } from '#agent/user/login/provisioner.ts';
import { fetchIdToken } from '#agent/user/login/sign-in.ts';
import { decodeBase64Url } from '#openssh/base64.ts';
import { type OpenidProvider, startOpenidProvider } from '#test/simulator/openid-provider/openid-provider.ts';
import { signIn } from '#test/simulator/openid-provider/scripted-browser.ts';
import { freePort } from '#test/support/free-port.ts';

const secret = 'not so secret: it ships with every laptop';
let idp: OpenidProvider;
let fixedPort: number;

beforeAll(async () => {
  fixedPort = await freePort();
  const common = { grant_types: ['authorization_code'], response_types: ['code' as const] };
  const native = { ...common, application_type: 'native' as const, token_endpoint_auth_method: 'none' as const };
  const loopback = ['http://127.0.0.1/'];
  const withSecret = { ...common, application_type: 'native' as const, client_secret: secret, redirect_uris: loopback };
  idp = await startOpenidProvider({
    accounts: { alice: { claims: {} } },
    clients: [
      { ...native, client_id: 'pushing', redirect_uris: loopback, require_pushed_authorization_requests: true },
      { ...native, client_id: 'fixed', redirect_uris: [`http://localhost:${fixedPort}/exactly/here`] },
      { ...withSecret, client_id: 'basic', token_endpoint_auth_method: 'client_secret_basic' },
    ],
    configuration: { features: { pushedAuthorizationRequests: { enabled: true } } },
  });
});
afterAll(async () => idp?.[Symbol.asyncDispose]());

/** The claims of the ID token, and the address that the browser was shown. */
async function tokenOf(clientId: string, change: Partial<Provisioner['client']> = {}, clientSecret?: string) {
  const provisioner: Provisioner = {
    name: 'corp',
    issuer: idp.issuer,
    clientId,
    ...(clientSecret === undefined ? {} : { clientSecret }),
    scopes: ['openid'],
    client: {
      redirectUris: ['http://127.0.0.1:0/'],
      nonceBinding: 'required',
      deviceFlow: false,
      authorizationParameters: {},
      pushedAuthorization: false,
      ...change,
    },
  };
  const shown: URL[] = [];
  const key = createBoundKey();
  const { idToken } = await fetchIdToken(provisioner, key, {
    chooseFlow: () => 'browser',
    showUrl: async (url) => {
      shown.push(url);
      const { body } = await request(await signIn(url.href, 'http://', { login: 'alice', root: idp.root }));
      await body.dump();
    },
    showDevicePrompt: () => {},
    providerCa: idp.root,
    signal: AbortSignal.timeout(60_000),
  });
  const payload = Buffer.from(decodeBase64Url(idToken.split('.')[1] ?? '')).toString();
  return { claims: JSON.parse(payload) as Record<string, unknown>, url: shown[0], nonce: key.nonce };
}

it('a pushed request leaves nothing of it in the address', async () => {
  const { claims, url, nonce } = await tokenOf('pushing', { pushedAuthorization: true });
  expect(claims['nonce']).toBe(nonce);
  expect([...(url?.searchParams.keys() ?? [])].toSorted()).toEqual(['client_id', 'request_uri']);
});

it('without a pushed request such a client is refused', async () => {
  await expect(tokenOf('pushing')).rejects.toMatchObject({ code: 'sign-in-refused' });
});

it('a fixed port and path at localhost are kept to the letter', async () => {
  const redirect = `http://localhost:${fixedPort}/exactly/here`;
  const { url } = await tokenOf('fixed', { redirectUris: [redirect] });
  expect(url?.searchParams.get('redirect_uri')).toBe(redirect);
});

it('a client secret goes along where the provider has one', async () => {
  expect((await tokenOf('basic', {}, secret)).claims['aud']).toBe('basic');
  await expect(tokenOf('basic', {}, 'another')).rejects.toMatchObject({ code: 'sign-in-refused' });
});

it('parameters of the CA are sent, and none of them takes the place of ours', async () => {
  const authorizationParameters = { max_age: '600', prompt: 'login', state: 'theirs', nonce: 'theirs', scope: 'none' };
  const { claims, url, nonce } = await tokenOf('basic', { authorizationParameters }, secret);
  expect(claims).toMatchObject({ nonce, auth_time: expect.any(Number) as number });
  expect(url?.searchParams.get('prompt')).toBe('login');
  expect(url?.searchParams.getAll('state')).not.toContain('theirs');
});
