/** The listener that the browser comes back to: what it takes, what it turns away, and who else may be at its port. */
import { once } from 'node:events';
import { type Server, createServer } from 'node:net';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { openLoopbackListener } from '#agent/user/login/loopback-listener.ts';

async function occupy(port: number, host = '127.0.0.1'): Promise<AsyncDisposable & { readonly port: number }> {
  const server: Server = createServer();
  const listening = once(server, 'listening');
  server.listen({ port, host, exclusive: true });
  await listening;
  const address = server.address();
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    [Symbol.asyncDispose]: async () => void (await once(server.close(), 'close')),
  };
}

async function get(url: string | URL, method: 'GET' | 'POST' = 'GET', headers: Record<string, string> = {}) {
  const { statusCode, headers: given, body } = await request(url, { method, headers });
  return { status: statusCode, headers: given, text: await body.text() };
}

const patience = (): AbortSignal => AbortSignal.timeout(30_000);

describe('an answer', () => {
  it('is taken at the exact path, with the state, once', async () => {
    await using listener = await openLoopbackListener(['http://127.0.0.1:0/sign-in/back']);
    const answered = listener.answer('right', patience());
    const at = (rest: string): URL => new URL(rest, listener.redirectUri);
    const turnedAway = [
      await get(at('/')),
      await get(at('/sign-in/back/?state=right')),
      await get(at('/SIGN-IN/back?state=right')),
      await get(at('/sign-in/back')),
      await get(at('/sign-in/back?code=x&state=wrong')),
      await get(at('/sign-in/back?code=x&state=right&state=right')),
      await get(at('/sign-in/back?code=x&state=right'), 'POST'),
      await get(at('/sign-in/back?code=x&state=right'), 'GET', { host: 'evil.example' }),
    ];
    expect(turnedAway.map(({ status }) => status)).toEqual(turnedAway.map(() => 404));
    const { status, headers, text } = await get(at('/sign-in/back?code=x&state=right'));
    expect(status).toBe(200);
    expect(headers['content-security-policy']).toMatch(/^default-src 'none';/);
    expect(text).not.toMatch(/<script|code=|right/);
    expect((await answered).search).toBe('?code=x&state=right');
    await expect(get(at('/sign-in/back?code=x&state=right'))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('never changes where it came to', async () => {
    await using listener = await openLoopbackListener(['http://127.0.0.1:0/']);
    const answered = listener.answer('s', patience());
    await get(`${listener.redirectUri}?state=s&code=%2F%2Fevil.example`);
    const { origin, pathname } = await answered;
    expect(`${origin}${pathname}`).toBe(listener.redirectUri);
  });

  it('that never comes ends with the reason of the caller, and frees the port', async () => {
    await using listener = await openLoopbackListener(['http://127.0.0.1:0/']);
    const controller = new AbortController();
    const answered = listener.answer('s', controller.signal);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(answered).rejects.toBe(reason);
    await using _ = await occupy(Number(new URL(listener.redirectUri).port));
  });
});

describe('the port', () => {
  it('is the first of the list that is free', async () => {
    await using taken = await occupy(0);
    await using listener = await openLoopbackListener([`http://127.0.0.1:${taken.port}/`, 'http://localhost:0/back']);
    expect(listener.redirectUri).toMatch(/^http:\/\/localhost:\d+\/back$/);
  });

  it('that another program holds is refused, not shared', async () => {
    await using taken = await occupy(0);
    await expect(openLoopbackListener([`http://127.0.0.1:${taken.port}/`])).rejects.toMatchObject({
      code: 'loopback-taken',
    });
  });

  it('cannot be taken by another program while we wait', async () => {
    await using listener = await openLoopbackListener(['http://127.0.0.1:0/']);
    const port = Number(new URL(listener.redirectUri).port);
    await expect(occupy(port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await expect(occupy(port, '0.0.0.0')).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('of localhost is held at both addresses, or not at all', async () => {
    await using taken = await occupy(0, '::1');
    await expect(openLoopbackListener([`http://localhost:${taken.port}/`])).rejects.toMatchObject({
      code: 'loopback-taken',
    });
    await using listener = await openLoopbackListener(['http://localhost:0/']);
    const port = Number(new URL(listener.redirectUri).port);
    await expect(occupy(port, '::1')).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await expect(occupy(port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it.each(['http://192.0.2.1:0/', 'https://127.0.0.1/', 'http://127.0.0.1.evil.example/', 'http://127.0.0.1:70000/'])(
    'of %s is never listened at',
    async (uri) => {
      await expect(openLoopbackListener([uri])).rejects.toMatchObject({ code: 'provisioner-unusable' });
    },
  );
});
