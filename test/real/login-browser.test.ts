/** Sign-ins in a real browser, Chromium, at the pages of a real OpenID provider over TLS: what a person sees, types and closes. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBoundKey } from '#agent/user/login/key-binding.ts';
import type { LoginError } from '#agent/user/login/login-error.ts';
import type { Provisioner } from '#agent/user/login/provisioner.ts';
import { fetchIdToken, signInTimeout } from '#agent/user/login/sign-in.ts';
import { decodeBase64Url } from '#openssh/base64.ts';
import { type OpenidProvider, startOpenidProvider } from '#test/simulator/openid-provider/openid-provider.ts';
import { type TestBrowser, startBrowser } from '#test/support/browser.ts';
import { startTestAgent } from './agent-fixture.ts';
import { type LoginStage, openLoginStage } from './login-fixture.ts';

const password = 'correct horse battery staple';
const secret = 'not so secret: it ships with every laptop';
let stage: LoginStage;
let idp: OpenidProvider;
let browser: TestBrowser;

beforeAll(async () => {
  const common = {
    application_type: 'native' as const,
    grant_types: ['authorization_code'],
    response_types: ['code' as const],
  };
  const open = { ...common, token_endpoint_auth_method: 'none' as const };
  const redirects = ['http://127.0.0.1/back', 'http://[::1]/back', 'http://localhost/back'];
  idp = await startOpenidProvider({
    accounts: { alice: { claims: { email: 'alice@example.com', email_verified: true }, password } },
    clients: [
      { ...open, client_id: 'native', redirect_uris: redirects },
      { ...open, client_id: 'pushing', redirect_uris: redirects, require_pushed_authorization_requests: true },
      { ...common, client_id: 'secret', client_secret: secret, redirect_uris: redirects },
    ],
    configuration: { features: { pushedAuthorizationRequests: { enabled: true } } },
  });
  stage = await openLoginStage();
  browser = await startBrowser([idp, stage.idp]);
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
  await idp?.[Symbol.asyncDispose]();
});

function provisioner(clientId: string, redirectUri = 'http://127.0.0.1:0/back'): Provisioner {
  return {
    name: 'corp',
    issuer: idp.issuer,
    clientId,
    ...(clientId === 'secret' ? { clientSecret: secret } : {}),
    scopes: ['openid', 'email'],
    client: {
      redirectUris: [redirectUri],
      nonceBinding: 'required',
      deviceFlow: false,
      authorizationParameters: {},
      pushedAuthorization: clientId === 'pushing',
    },
  };
}

/** A sign-in of the agent, with `visit` as what the person does in the browser. */
async function signIn(at: Provisioner, visit: (url: URL) => Promise<unknown>, signal = AbortSignal.timeout(100_000)) {
  const key = createBoundKey();
  const { idToken } = await fetchIdToken(at, key, {
    chooseFlow: () => 'browser',
    showUrl: async (url) => void (await visit(url)),
    showDevicePrompt: () => {},
    providerCa: idp.root,
    signal,
  });
  const payload = Buffer.from(decodeBase64Url(idToken.split('.')[1] ?? '')).toString();
  return { nonce: key.nonce, claims: JSON.parse(payload) as Record<string, unknown> };
}

async function enterName(page: Page, name: string, word: string): Promise<void> {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(word);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function allow(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Allow' }).click();
}

/** Everything from the address to the page at the end. */
async function signInAt(page: Page, url: URL, name = 'alice'): Promise<void> {
  await page.goto(url.href);
  await enterName(page, name, password);
  await allow(page);
}

const headingOf = async (page: Page): Promise<string> => page.getByRole('heading').innerText();

describe('in a browser', () => {
  it.each(['127.0.0.1', '[::1]', 'localhost'])('a person signs in and comes back to %s', async (host) => {
    await using visitor = await browser.newVisitor();
    const { page } = visitor;
    const at = provisioner('native', `http://${host}:0/back`);
    const { claims, nonce } = await signIn(at, async (url) => signInAt(page, url));
    expect(claims).toMatchObject({ nonce, sub: 'alice', email: 'alice@example.com' });
    await expect.poll(async () => headingOf(page), { timeout: 60_000 }).toBe('Back at Countersign');
    expect(new URL(page.url()).host).toMatch(`${host}:`);
  });

  it.each(['secret', 'pushing'])('a person signs in at a client of the kind "%s"', async (clientId) => {
    await using visitor = await browser.newVisitor();
    const { page } = visitor;
    const shown: URL[] = [];
    const { claims, nonce } = await signIn(provisioner(clientId), async (url) => {
      shown.push(url);
      await signInAt(page, url);
    });
    expect(claims).toMatchObject({ nonce, aud: clientId });
    const names = [...(shown[0]?.searchParams.keys() ?? [])];
    expect(names.includes('nonce')).toBe(clientId === 'secret'); // pushed, the address tells nothing
  });

  it('the last page is friendly, asks for nothing, runs nothing and tells nothing', async () => {
    await using visitor = await browser.newVisitor();
    const { page } = visitor;
    const requests: string[] = [];
    let end = '';
    await signIn(provisioner('native'), async (url) => {
      await signInAt(page, url);
      await page.getByText('You can close this tab').waitFor();
      page.on('request', (request) => requests.push(request.url()));
      end = await page.content();
    });
    const address = new URL(page.url());
    for (const name of ['code', 'state']) expect(end).not.toContain(address.searchParams.get(name));
    expect(end).not.toMatch(/alice|<script|<link|<img|<form/);
    expect(requests).toEqual([]);
    await keepPicture(page, 'signed-in');
  });

  it('a wrong password is between the person and the provider', async () => {
    await using visitor = await browser.newVisitor();
    const { page } = visitor;
    const { claims } = await signIn(provisioner('native'), async (url) => {
      await page.goto(url.href);
      await enterName(page, 'alice', 'wrong');
      await page.getByText('is wrong').waitFor();
      await enterName(page, 'alice', password);
      await allow(page);
    });
    expect(claims['sub']).toBe('alice');
  });

  it('whoever is signed in there needs no password again', async () => {
    await using visitor = await browser.newVisitor();
    const { page } = visitor;
    await signIn(provisioner('native'), async (url) => signInAt(page, url));
    const again = await signIn(provisioner('native'), async (url) => {
      await page.goto(url.href);
      await allow(page);
    });
    expect(again.claims).toMatchObject({ sub: 'alice', nonce: again.nonce });
  });

  it('who says no is told so, here and there', async () => {
    await using visitor = await browser.newVisitor();
    const { page } = visitor;
    const refused = signIn(provisioner('native'), async (url) => {
      await page.goto(url.href);
      await enterName(page, 'alice', password);
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByText('did not sign you in').waitFor();
      await keepPicture(page, 'refused');
    });
    await expect(refused).rejects.toMatchObject({ code: 'sign-in-refused' });
    expect(await headingOf(page)).toBe('Not signed in');
  });

  it('who closes the window is waited for, until the time is over', async () => {
    await using visitor = await browser.newVisitor();
    const { page } = visitor;
    const deadline = new AbortController();
    const given = signIn(
      provisioner('native'),
      async (url) => {
        await page.goto(url.href);
        await page.close();
        deadline.abort(signInTimeout(300)); // the clock of this test
      },
      deadline.signal,
    );
    await expect(given).rejects.toMatchObject({ code: 'sign-in-timeout' } satisfies Partial<LoginError>);
  });
});

describe('countersign login', () => {
  it('opens the browser, and has the certificate when the person is back', async () => {
    await using visitor = await browser.newVisitor();
    await using agent = await startTestAgent();
    const [program, address] = [join(agent.directory, 'browser'), join(agent.directory, 'address')];
    await writeFile(program, `#!/bin/sh\nprintf %s "$1" >'${address}.new' && mv '${address}.new' '${address}'\n`);
    await chmod(program, 0o755);
    await using login = stage.startLogin(['--browser', program, '--json'], agent.env);
    await expect.poll(async () => readFile(address, 'utf8').catch(() => ''), { timeout: 60_000 }).toMatch(/^https:/);
    await signInAt(visitor.page, new URL(await readFile(address, 'utf8')));
    const { code } = await login.ended;
    expect(code, login.stderr()).toBe(0);
    expect(JSON.parse(login.stdout())).toMatchObject({ provisioner: 'corp', principals: ['alice', 'root'] });
  });

  it('shows a code, which the person types elsewhere', async () => {
    await using visitor = await browser.newVisitor();
    await using agent = await startTestAgent();
    await using login = stage.startLogin(['--device'], agent.env);
    const { page } = visitor;
    const code = await openDevicePage(login, page);
    await page.locator('input[name=user_code]').fill('WRONG-CODE');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('not known').waitFor();
    await page.locator('input[name=user_code]').fill(code.toLowerCase().replace('-', ' ')); // as people type
    await page.getByRole('button', { name: 'Continue' }).click();
    expect(await page.locator('code').innerText()).toBe(code); // the person compares
    await page.getByRole('button', { name: 'Continue' }).click();
    await enterName(page, 'alice', 'any');
    await allow(page);
    await page.getByText('go back to your device').waitFor();
    const { code: status } = await login.ended;
    expect(status, login.stderr()).toBe(0);
  });

  it('ends when the person refuses the device', async () => {
    await using visitor = await browser.newVisitor();
    await using agent = await startTestAgent();
    await using login = stage.startLogin(['--device'], agent.env);
    const { page } = visitor;
    await page.locator('input[name=user_code]').fill(await openDevicePage(login, page));
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    const { code: status } = await login.ended;
    expect([status, /\[([a-z-]+)\]$/m.exec(login.stderr())?.[1]]).toEqual([1, 'sign-in-refused']);
  });
});

/** @returns the code that the terminal shows */
async function openDevicePage(login: ReturnType<LoginStage['startLogin']>, page: Page): Promise<string> {
  const prompt = /Open (\S+)\nand enter the code {2}(\S+)\n/;
  await login.until((each) => prompt.test(each.stderr()));
  const [, url = '', code = ''] = prompt.exec(login.stderr()) ?? [];
  await page.goto(url);
  return code;
}

/** For somebody to look at: where COUNTERSIGN_PICTURES says. */
async function keepPicture(page: Page, name: string): Promise<void> {
  const directory = process.env['COUNTERSIGN_PICTURES'];
  if (directory !== undefined) await page.screenshot({ path: join(directory, `${name}.png`) });
}
