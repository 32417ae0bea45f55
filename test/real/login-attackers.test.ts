/** Attackers on the way between browser, identity provider and agent: nothing but an answer of our own provider to our own request counts. */
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBoundKey } from '#agent/user/login/key-binding.ts';
import { LoginError } from '#agent/user/login/login-error.ts';
import type { Provisioner } from '#agent/user/login/provisioner.ts';
import { fetchIdToken } from '#agent/user/login/sign-in.ts';
import {
  createIntermediate,
  createRoot,
  createServerCertificate,
  generateX509Key,
} from '#ca-lite/x509/certificate-authority.ts';
import { type OpenidProvider, startOpenidProvider } from '#test/simulator/openid-provider/openid-provider.ts';
import { signIn } from '#test/simulator/openid-provider/scripted-browser.ts';

let idp: OpenidProvider;

beforeAll(async () => {
  const redirect = {
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    redirect_uris: ['http://127.0.0.1/'],
  } as const;
  const client = {
    ...redirect,
    redirect_uris: [...redirect.redirect_uris],
    grant_types: ['authorization_code'],
    response_types: ['code' as const],
  };
  idp = await startOpenidProvider({
    accounts: { alice: { claims: {} }, mallory: { claims: {} } },
    clients: [{ ...client, client_id: 'countersign' }],
  });
});
afterAll(async () => idp?.[Symbol.asyncDispose]());

function provisionerAt(issuer: string): Provisioner {
  return {
    name: 'corp',
    issuer,
    clientId: 'countersign',
    scopes: ['openid'],
    client: {
      redirectUris: ['http://127.0.0.1:0/'],
      nonceBinding: 'required',
      deviceFlow: false,
      authorizationParameters: {},
      pushedAuthorization: false,
    },
  };
}

interface Attempt {
  readonly provider?: { readonly issuer: string; readonly root: string };
  readonly showUrl?: (url: URL) => Promise<void>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

async function attempt({
  provider = idp,
  showUrl = async () => {},
  timeoutMs = 10_000,
  signal = AbortSignal.timeout(60_000),
}: Attempt) {
  return fetchIdToken(provisionerAt(provider.issuer), createBoundKey(), {
    chooseFlow: () => 'browser',
    showUrl,
    showDevicePrompt: () => {},
    providerCa: provider.root,
    providerTimeoutMs: timeoutMs,
    signal,
  });
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'signed in';
  } catch (error) {
    if (error instanceof LoginError) return error.code;
    throw error;
  }
}

/** What the browser of `login` would come back with. */
const answerFor = async (url: URL | string, login: string): Promise<URL> =>
  signIn(String(url), 'http://', { login, root: idp.root });

async function comeBack(url: URL, changes: Readonly<Record<string, string>> = {}): Promise<number> {
  const changed = new URL(url);
  for (const [name, value] of Object.entries(changes)) changed.searchParams.set(name, value);
  const { statusCode, body } = await request(changed);
  await body.dump();
  return statusCode;
}

describe('an answer to a sign-in', () => {
  it('with another state is turned away, and ends nothing', async () => {
    const statuses: number[] = [];
    const showUrl = async (url: URL): Promise<void> => {
      const back = await answerFor(url, 'alice');
      statuses.push(
        await comeBack(back, { state: 'guessed' }),
        await comeBack(new URL('/other', back)),
        await comeBack(back),
      );
    };
    expect((await attempt({ showUrl })).isBound).toBe(true);
    expect(statuses).toEqual([404, 404, 200]);
  });

  it('with the code of somebody else is refused by the provider: PKCE', async () => {
    const showUrl = async (url: URL): Promise<void> => {
      const own = new URL(url); // the attacker's own request, with his own challenge
      own.searchParams.set('code_challenge', 'A'.repeat(43));
      own.searchParams.set('state', 'of the attacker');
      const stolen = await answerFor(own, 'mallory');
      await comeBack(stolen, { state: url.searchParams.get('state') ?? '' });
    };
    expect(await codeOf(attempt({ showUrl }))).toBe('sign-in-refused');
  });

  it('with the code of a request with another nonce is thrown away', async () => {
    const showUrl = async (url: URL): Promise<void> => {
      const own = new URL(url); // our challenge and state, seen in the address; another nonce
      own.searchParams.set('nonce', 'of another key');
      await comeBack(await answerFor(own, 'mallory'));
    };
    expect(await codeOf(attempt({ showUrl }))).toBe('answer-not-ours');
  });

  it.each(['https://evil.example', ''])('of the issuer %j is thrown away: mix-up', async (iss) => {
    const showUrl = async (url: URL): Promise<void> => {
      await comeBack(await answerFor(url, 'alice'), { iss });
    };
    expect(await codeOf(attempt({ showUrl }))).toBe('answer-not-ours');
  });

  it('that says no is told', async () => {
    const showUrl = async (url: URL): Promise<void> => {
      const back = new URL(url.searchParams.get('redirect_uri') ?? '');
      await comeBack(back, { state: url.searchParams.get('state') ?? '', iss: idp.issuer, error: 'access_denied' });
    };
    expect(await codeOf(attempt({ showUrl }))).toBe('sign-in-refused');
  });

  it('is waited for until the caller gives up, with his reason', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const showUrl = async (): Promise<void> => controller.abort(reason);
    await expect(attempt({ showUrl, signal: controller.signal })).rejects.toBe(reason);
  });
});

describe('a provider', () => {
  it('that answers HTML is none', async () => {
    await using provider = await startServer((_, response) =>
      response.setHeader('content-type', 'text/html').end('<h1>Log in</h1>'),
    );
    expect(await codeOf(attempt({ provider }))).toBe('provider-invalid');
  });

  it('that hangs is given up', async () => {
    await using provider = await startServer(() => {});
    expect(await codeOf(attempt({ provider, timeoutMs: 500 }))).toBe('provider-unreachable');
  });

  it('that sends without end is given up', async () => {
    await using provider = await startServer((_, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(`{"issuer":"${'x'.repeat(2 * 1024 * 1024)}"}`);
    });
    expect(await codeOf(attempt({ provider }))).toBe('provider-invalid');
  });

  it('that is down is told', async () => {
    const provider = await startServer(() => {});
    await provider[Symbol.asyncDispose]();
    expect(await codeOf(attempt({ provider }))).toBe('provider-unreachable');
  });

  it('that claims to be another issuer is not believed', async () => {
    await using provider = await startServer((_, response) =>
      response.setHeader('content-type', 'application/json').end(metadata(idp.issuer)),
    );
    expect(await codeOf(attempt({ provider }))).toBe('answer-not-ours');
  });

  it('that names a login page without TLS opens no browser', async () => {
    const shown: URL[] = [];
    await using provider = await startServer((_, response) =>
      response.setHeader('content-type', 'application/json').end(metadata(provider.issuer, 'http://login.example/')),
    );
    const showUrl = async (url: URL): Promise<void> => void shown.push(url);
    expect(await codeOf(attempt({ provider, showUrl }))).toBe('provider-invalid');
    expect(shown).toEqual([]);
  });
});

function metadata(issuer: string, authorizationEndpoint = `${issuer}/auth`): string {
  return JSON.stringify({
    issuer,
    authorization_endpoint: authorizationEndpoint,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
  });
}

/** HTTPS as `localhost` on a free port. */
async function startServer(listener: RequestListener) {
  const now = new Date();
  const root = await createRoot('Hostile', await generateX509Key(), now);
  const intermediate = await createIntermediate('Hostile', root, await generateX509Key(), now);
  const { certificatePem, privateKey } = await createServerCertificate(
    ['localhost'],
    intermediate,
    await generateX509Key(),
    now,
  );
  const cert = `${certificatePem}\n${intermediate.certificatePem}`;
  const server = createServer({ cert, key: privateKey.export({ format: 'pem', type: 'pkcs8' }) }, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    issuer: `https://localhost:${(server.address() as AddressInfo).port}`,
    root: root.certificatePem,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      if (server.listening) await once(server.close(), 'close');
    },
  };
}
