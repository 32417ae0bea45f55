/** Attackers on the way between browser, identity provider and agent: nothing but an answer of our own provider to our own request counts. */
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { ServerResponse } from 'node:http';
import { request } from 'undici';
import { afterAll, beforeAll, expect } from 'vitest';
import { createBoundKey } from '#agent/user/login/key-binding.ts';
import { LoginError } from '#agent/user/login/login-error.ts';
import type { Provisioner } from '#agent/user/login/provisioner.ts';
import { fetchIdToken } from '#agent/user/login/sign-in.ts';
import { type OpenidProvider, startOpenidProvider } from '#test/simulator/openid-provider/openid-provider.ts';
import { signIn } from '#test/simulator/openid-provider/scripted-browser.ts';
import { type HttpsServer, startHttpsServer } from '#test/support/https-server.ts';
import { freePort } from '#test/support/free-port.ts';
import { holds } from './sign-in-promises.ts';

let idp: OpenidProvider;

beforeAll(async () => {
  const redirect = {
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    redirect_uris: ['http://127.0.0.1/', 'http://localhost/'],
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

function provisionerAt(issuer: string, redirectUri: string): Provisioner {
  return {
    name: 'corp',
    issuer,
    clientId: 'countersign',
    scopes: ['openid'],
    client: {
      redirectUris: [redirectUri],
      nonceBinding: 'required',
      deviceFlow: false,
      authorizationParameters: {},
      pushedAuthorization: false,
    },
  };
}

interface Attempt {
  readonly provider?: { readonly issuer: string; readonly root: string };
  readonly redirectUri?: string;
  readonly showUrl?: (url: URL) => Promise<void>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

async function attempt({
  provider = idp,
  redirectUri = 'http://127.0.0.1:0/',
  showUrl = async () => {},
  timeoutMs = 10_000,
  signal = AbortSignal.timeout(60_000),
}: Attempt) {
  return fetchIdToken(provisionerAt(provider.issuer, redirectUri), createBoundKey(), {
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

holds('wrong-state', async () => {
  const statuses: number[] = [];
  const showUrl = async (url: URL): Promise<void> => {
    const back = await answerFor(url, 'alice');
    const { port } = back;
    statuses.push(await comeBack(back, { state: 'guessed' }), await comeBack(back, { state: '' }));
    statuses.push(await comeBack(new URL(`http://127.0.0.1:${port}/`)), await comeBack(new URL('/other', back)));
    statuses.push(await comeBack(back));
  };
  expect((await attempt({ showUrl })).isBound).toBe(true);
  expect(statuses).toEqual([404, 404, 404, 404, 200]);
});

holds('code-injected', async () => {
  const showUrl = async (url: URL): Promise<void> => {
    const own = new URL(url); // the attacker's own request, with his own challenge
    own.searchParams.set('code_challenge', 'A'.repeat(43));
    own.searchParams.set('state', 'of the attacker');
    const stolen = await answerFor(own, 'mallory');
    await comeBack(stolen, { state: url.searchParams.get('state') ?? '' });
  };
  expect(await codeOf(attempt({ showUrl }))).toBe('sign-in-refused');
});

holds('answer-other-nonce', async () => {
  const showUrl = async (url: URL): Promise<void> => {
    const own = new URL(url); // our challenge and state, seen in the address; another nonce
    own.searchParams.set('nonce', 'of another key');
    await comeBack(await answerFor(own, 'mallory'));
  };
  expect(await codeOf(attempt({ showUrl }))).toBe('answer-not-ours');
});

holds('mix-up', async () => {
  const changes: ((back: URL) => void)[] = [
    ({ searchParams }) => searchParams.set('iss', 'https://evil.example'),
    ({ searchParams }) => searchParams.set('iss', ''),
    ({ searchParams }) => searchParams.set('iss', `${idp.issuer}/`),
    ({ searchParams }) => searchParams.delete('iss'), // the provider says that it always names itself
    ({ searchParams }) => searchParams.append('iss', 'https://evil.example'),
    ({ searchParams }) => searchParams.append('iss', idp.issuer),
  ];
  for (const change of changes) {
    const showUrl = async (url: URL): Promise<void> => {
      const back = await answerFor(url, 'alice');
      change(back);
      await comeBack(back);
    };
    expect(await codeOf(attempt({ showUrl })), String(change)).toBe('answer-not-ours');
  }
});

holds('provider-says-no', async () => {
  const showUrl = async (url: URL): Promise<void> => {
    const back = new URL(url.searchParams.get('redirect_uri') ?? '');
    await comeBack(back, { state: url.searchParams.get('state') ?? '', iss: idp.issuer, error: 'access_denied' });
  };
  expect(await codeOf(attempt({ showUrl }))).toBe('sign-in-refused');
});

holds('caller-gives-up', async () => {
  const reason = new Error('enough');
  const controller = new AbortController();
  const showUrl = async (): Promise<void> => controller.abort(reason);
  await expect(attempt({ showUrl, signal: controller.signal })).rejects.toBe(reason);
});

/** Another program, at a port of loopback. */
async function squat(port: number, host: string) {
  const server = createServer();
  server.listen({ port, host, ipv6Only: true });
  await once(server, 'listening');
  return {
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

holds('port-taken', async () => {
  const port = await freePort();
  await using _squatter = await squat(port, '127.0.0.1');
  const shown: URL[] = [];
  const showUrl = async (url: URL): Promise<void> => void shown.push(url);
  expect(await codeOf(attempt({ redirectUri: `http://127.0.0.1:${port}/`, showUrl }))).toBe('loopback-taken');
  expect(shown).toEqual([]); // before anybody signs in
});

holds('port-taken-elsewhere', async () => {
  const port = await freePort();
  await using _squatter = await squat(port, '::1');
  expect(await codeOf(attempt({ redirectUri: `http://localhost:${port}/` }))).toBe('loopback-taken');
});

holds('port-not-shared', async () => {
  const taken: unknown[] = [];
  const showUrl = async (url: URL): Promise<void> => {
    const port = Number(new URL(url.searchParams.get('redirect_uri') ?? '').port);
    for (const host of ['127.0.0.1', '::1']) {
      const listening = squat(port, host).then(async (squatter) => squatter[Symbol.asyncDispose]());
      taken.push(await listening.catch((error: NodeJS.ErrnoException) => error.code));
    }
    await comeBack(await answerFor(url, 'alice'));
  };
  expect((await attempt({ redirectUri: 'http://localhost:0/', showUrl })).isBound).toBe(true);
  expect(taken).toEqual(['EADDRINUSE', 'EADDRINUSE']);
});

/** Bytes to the listener, and what comes back until it hangs up. */
async function send(port: number, text: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' });
  let reply = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (reply += chunk));
  socket.on('error', () => undefined); // it may hang up while we still write
  const closed = new Promise((resolve) => {
    socket.on('close', resolve);
  });
  socket.end(text);
  await closed;
  return reply.split('\r\n', 1)[0] ?? '';
}

holds('garbage-at-the-port', async () => {
  const replies: string[] = [];
  const showUrl = async (url: URL): Promise<void> => {
    const back = await answerFor(url, 'alice');
    const { port, host, pathname, search } = back;
    const path = pathname + search;
    const requests = [
      'SSH-2.0-OpenSSH_9.2\r\n',
      '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc', // TLS
      `GET ${path}`, // and nothing more
      `GET ${path}${'&x=y'.repeat(20_000)} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`,
      `HEAD ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      `GET ${path} HTTP/1.1\r\nHost: evil.example:${port}\r\n\r\n`, // DNS rebinding
      `GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`, // another name than the one registered
      `GET ${path} HTTP/1.1\r\n\r\n`,
      `GET http://evil.example${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      `GET //evil.example${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      `GET ${path}&state=other HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      `GET /favicon.ico HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    ];
    for (const text of requests) replies.push(await send(Number(port), text));
    expect(await comeBack(back)).toBe(200);
  };
  expect((await attempt({ showUrl })).isBound).toBe(true);
  expect(replies.filter((line) => line.includes(' 200 '))).toEqual([]);
  expect(replies.filter((line) => line.includes(' 404 '))).toHaveLength(8);
});

holds('silent-connections', async () => {
  const sockets: ReturnType<typeof connect>[] = [];
  const showUrl = async (url: URL): Promise<void> => {
    const back = await answerFor(url, 'alice');
    for (let i = 0; i < 100; i++) {
      const socket = connect({ port: Number(back.port), host: '127.0.0.1' });
      socket.on('error', () => undefined);
      sockets.push(socket);
      await once(socket, 'connect');
    }
    await comeBack(back);
  };
  try {
    expect((await attempt({ showUrl })).isBound).toBe(true);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

holds('one-answer', async () => {
  let back: URL | undefined;
  const showUrl = async (url: URL): Promise<void> => {
    back = await answerFor(url, 'alice');
    await comeBack(back);
  };
  expect((await attempt({ showUrl })).isBound).toBe(true);
  await expect(comeBack(back as URL)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

holds('discovery-html', async () => {
  await using provider = await startHttpsServer((_, response) => html(response));
  expect(await codeOf(attempt({ provider }))).toBe('provider-invalid');
});

holds('discovery-hangs', async () => {
  await using provider = await startHttpsServer(() => {});
  expect(await codeOf(attempt({ provider, timeoutMs: 500 }))).toBe('provider-unreachable');
});

holds('discovery-huge', async () => {
  await using provider = await startHttpsServer((_, response) => huge(response));
  expect(await codeOf(attempt({ provider }))).toBe('provider-invalid');
});

holds('discovery-down', async () => {
  const provider = await startHttpsServer(() => {});
  await provider[Symbol.asyncDispose]();
  expect(await codeOf(attempt({ provider }))).toBe('provider-unreachable');
});

holds('discovery-other-issuer', async () => {
  await using provider = await startHttpsServer((_, response) => json(response, metadata(idp.issuer)));
  expect(await codeOf(attempt({ provider }))).toBe('answer-not-ours');
});

holds('login-page-without-tls', async () => {
  const shown: URL[] = [];
  await using provider = await startHttpsServer((_, response) =>
    json(response, { ...metadata(provider.issuer), authorization_endpoint: 'http://login.example/' }),
  );
  const showUrl = async (url: URL): Promise<void> => void shown.push(url);
  expect(await codeOf(attempt({ provider, showUrl }))).toBe('provider-invalid');
  expect(shown).toEqual([]);
});

/** A provider that signs everybody in, and whose token endpoint does as told. */
async function startTokenEndpoint(answer: (response: ServerResponse) => void): Promise<HttpsServer> {
  const provider: HttpsServer = await startHttpsServer((incoming, response) => {
    if (incoming.url === '/token') return answer(response);
    return json(response, metadata(provider.issuer));
  });
  return provider;
}

/** As the browser comes back from it. */
async function comeBackWithCode(url: URL): Promise<void> {
  const back = new URL(url.searchParams.get('redirect_uri') ?? '');
  await comeBack(back, { state: url.searchParams.get('state') ?? '', code: 'a-code' });
}

holds('token-endpoint-html', async () => {
  await using provider = await startTokenEndpoint(html);
  expect(await codeOf(attempt({ provider, showUrl: comeBackWithCode }))).toBe('provider-invalid');
});

holds('token-endpoint-hangs', async () => {
  await using provider = await startTokenEndpoint(() => {});
  const refused = codeOf(attempt({ provider, showUrl: comeBackWithCode, timeoutMs: 1000 }));
  expect(await refused).toBe('provider-unreachable');
});

holds('token-endpoint-huge', async () => {
  await using provider = await startTokenEndpoint(huge);
  expect(await codeOf(attempt({ provider, showUrl: comeBackWithCode }))).toBe('provider-invalid');
});

holds('token-endpoint-down', async () => {
  await using provider = await startTokenEndpoint((response) => response.socket?.destroy());
  expect(await codeOf(attempt({ provider, showUrl: comeBackWithCode }))).toBe('provider-unreachable');
});

holds('token-endpoint-moves', async () => {
  const received: string[] = [];
  await using elsewhere = await startHttpsServer((incoming, response) => {
    received.push(incoming.url ?? '');
    html(response);
  });
  for (const status of [301, 302, 303, 307, 308]) {
    await using provider = await startTokenEndpoint((response) =>
      response.writeHead(status, { location: `${elsewhere.issuer}/token` }).end(),
    );
    const both = { issuer: provider.issuer, root: `${provider.root}\n${elsewhere.root}` };
    expect(await codeOf(attempt({ provider: both, showUrl: comeBackWithCode }))).toBe('provider-invalid');
  }
  expect(received).toEqual([]);
});

function html(response: ServerResponse): void {
  response.setHeader('content-type', 'text/html').end('<h1>Log in</h1>');
}

function json(response: ServerResponse, body: unknown): void {
  response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
}

function huge(response: ServerResponse): void {
  json(response, { issuer: 'x'.repeat(2 * 1024 * 1024) });
}

function metadata(issuer: string): Record<string, string> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
  };
}
