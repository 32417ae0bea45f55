/** What a sign-in decides: which provisioner, and which browser. */
import { describe, expect, it } from 'vitest';
import { browserCommand, openBrowser } from '#agent/user/login/browser.ts';
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
    ['linux', { DISPLAY: ':0' }, undefined, ['xdg-open']],
    ['linux', { WAYLAND_DISPLAY: 'wayland-0' }, undefined, ['xdg-open']],
    ['linux', { DISPLAY: '' }, undefined, undefined],
    ['darwin', {}, undefined, ['open']],
    ['win32', {}, undefined, ['rundll32', 'url.dll,FileProtocolHandler']],
    ['linux', {}, '/usr/bin/firefox --private', ['/usr/bin/firefox --private']],
  ] as const)('on %s with %j and %j is %j', (platform, environment, named, command) => {
    expect(browserCommand(platform, environment, named)).toEqual(command);
  });

  it('opens https alone, and tells when it does not start', async () => {
    await expect(openBrowser(['true'], new URL('http://idp.example'))).rejects.toThrow(TypeError);
    await expect(openBrowser(['true'], new URL('file:///etc/passwd'))).rejects.toThrow(TypeError);
    expect(await openBrowser(['/nonexistent/browser'], new URL('https://idp.example'))).toBe(
      'no such file or directory',
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
