/** What a sign-in decides: which provisioner, and which browser. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { browserCommands, commandLineFor, openBrowser } from '#agent/user/login/browser.ts';
import { formatDevicePrompt } from '#agent/user/login/device-prompt.ts';
import { chooseProvisioner } from '#agent/user/login/provisioner.ts';

const listed = (name: string, countersign: object = {}): object => ({
  type: 'OIDC',
  name,
  clientID: 'countersign',
  clientSecret: '',
  scopes: ['openid', 'email'],
  countersign: {
    issuer: 'https://idp.example',
    redirectUris: ['http://127.0.0.1:0/'],
    nonceBinding: 'required',
    deviceFlow: false,
    authorizationParameters: {},
    pushedAuthorization: false,
    ...countersign,
  },
});
const others = [
  { type: 'JWK', name: 'admin' },
  { type: 'OIDC', name: 'of step', clientID: 'x' },
];

describe('the provisioner', () => {
  it('is the only one, or the one that is named', () => {
    expect(chooseProvisioner([...others, listed('corp')], undefined)).toMatchObject({
      name: 'corp',
      clientId: 'countersign',
    });
    expect(chooseProvisioner([listed('a'), listed('b')], 'b').name).toBe('b');
    expect(chooseProvisioner([listed('a')], undefined)).not.toHaveProperty('clientSecret');
  });

  it.each([
    [others, undefined, 'no-provisioner'],
    [[listed('a')], 'b', 'no-provisioner'],
    [[listed('a'), listed('b')], undefined, 'provisioner-ambiguous'],
    [[listed('a', { issuer: 'http://idp.example' })], undefined, 'provisioner-unusable'],
    [[listed('a', { redirectUris: ['http://evil.example/'] })], undefined, 'provisioner-unusable'],
    [[listed('a', { redirectUris: [] })], undefined, 'provisioner-unusable'],
  ])('is not chosen from %j with %j: %s', (list, wanted, code) => {
    expect(() => chooseProvisioner(list, wanted)).toThrow(expect.objectContaining({ code }));
  });
});

describe('the browser', () => {
  it.each([
    ['linux', { DISPLAY: ':0' }, undefined, [['xdg-open']]],
    ['linux', { WAYLAND_DISPLAY: 'wayland-0', BROWSER: '' }, undefined, [['xdg-open']]],
    ['linux', { DISPLAY: '' }, undefined, []],
    [
      'linux',
      { DISPLAY: ':0', BROWSER: 'firefox -P work:w3m' },
      undefined,
      [['firefox', '-P', 'work'], ['w3m'], ['xdg-open']],
    ],
    ['linux', { BROWSER: ': x --url=%s :%s:' }, undefined, [['x', '--url=%s']]],
    ['linux', { DISPLAY: ':0', BROWSER: 'firefox' }, 'chromium --app=%s', [['chromium', '--app=%s']]],
    ['darwin', { BROWSER: 'firefox' }, undefined, [['open']]],
    ['win32', {}, undefined, [['rundll32', 'url.dll,FileProtocolHandler']]],
    ['linux', {}, '/usr/bin/firefox --private', [['/usr/bin/firefox', '--private']]],
  ] as const)('on %s with %j and %j is %j', (platform, environment, named, commands) => {
    expect(browserCommands(platform, environment, named)).toEqual(commands);
  });

  it.each([
    [['x'], ['x', 'https://idp.example/?a=%25s&b=$(id);%20']],
    [
      ['x', '-n', '--'],
      ['x', '-n', '--', 'https://idp.example/?a=%25s&b=$(id);%20'],
    ],
    [
      ['x', '--u=%s', '%%s'],
      ['x', '--u=https://idp.example/?a=%25s&b=$(id);%20', '%s'],
    ],
    [
      ['x', '100%%s'],
      ['x', '100%s', 'https://idp.example/?a=%25s&b=$(id);%20'],
    ],
  ] as const)('%j gets the address as one word, unread', (command, line) => {
    expect(commandLineFor(command, new URL('https://idp.example/?a=%25s&b=$(id);%20'))).toEqual(line);
  });

  it('starts the first that is there', { timeout: 90_000 }, async () => {
    await using stack = new AsyncDisposableStack();
    const directory = await mkdtemp(join(tmpdir(), 'countersign-browser-'));
    stack.defer(async () => rm(directory, { recursive: true, force: true }));
    const [program, seen] = [join(directory, 'browser'), join(directory, 'seen')];
    await writeFile(program, `#!/bin/sh\nprintf '%s\\n' "$@" > '${seen}.new' && mv '${seen}.new' '${seen}'\n`, {
      mode: 0o755,
    });
    const environment = { BROWSER: `/nonexistent/browser:${program} --to=%s` };
    const url = new URL('https://idp.example/a?b=$HOME');
    expect(await openBrowser(browserCommands('linux', environment, undefined), url)).toBeUndefined();
    const shown = await vi.waitFor(async () => readFile(seen, 'utf8'), { timeout: 60_000, interval: 50 });
    expect(shown).toBe('--to=https://idp.example/a?b=$HOME\n');
  });

  it('opens https alone, and tells when it does not start', async () => {
    await expect(openBrowser([['true']], new URL('http://idp.example'))).rejects.toThrow(TypeError);
    await expect(openBrowser([['true']], new URL('file:///etc/passwd'))).rejects.toThrow(TypeError);
    expect(await openBrowser([['/nonexistent/browser']], new URL('https://idp.example'))).toBe(
      '/nonexistent/browser did not start (no such file or directory)',
    );
  });
});

it('the prompt of the device flow has address, code and, on a terminal, a QR code', () => {
  const prompt = { url: new URL('https://idp.example/device'), code: 'ABCD-EFGH' };
  expect(formatDevicePrompt(prompt, { qr: false })).toBe(
    'Open https://idp.example/device\nand enter the code  ABCD-EFGH\n',
  );
  expect(formatDevicePrompt(prompt, { qr: true })).toMatch(/[▀▄█]{10}/);
});
