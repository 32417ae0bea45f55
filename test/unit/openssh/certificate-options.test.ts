import { describe, expect, test } from 'vitest';
import { parseCertificateLine } from '#openssh/certificate-line.ts';
import {
  type CertificateOptionsView,
  defaultExtensionNames,
  extensionFlags,
  forceCommandOption,
  isAddressListed,
  parseNetworkList,
  sourceAddressOption,
  verifyRequiredOption,
  viewCertificateOptions,
} from '#openssh/certificate-options.ts';
import { flagOption, textOption } from '#openssh/certificate.ts';
import { bytes, sampleCertificate, vectorText } from './samples.ts';

const badValue: unknown = expect.objectContaining({ name: 'FormatError', code: 'bad-value' });

function view(name: string): CertificateOptionsView {
  return viewCertificateOptions(parseCertificateLine(vectorText(`options/${name}.cert`)).certificate);
}

describe("OpenSSH's vectors", () => {
  test('all extensions, and none', () => {
    expect([...view('all_permit').extensions]).toEqual([...defaultExtensionNames]);
    expect(view('no_permit').extensions.size).toBe(0);
    expect([...view('only_pty').extensions]).toEqual(['permit-pty']);
  });

  test('critical options', () => {
    expect(view('force_command').forceCommand).toBe('foo');
    expect(view('sourceaddr').sourceAddress).toBe('127.0.0.1/32,::1/128');
    expect(() => view('bad_sourceaddr')).toThrow(badValue);
    expect(view('unknown_critical').unknownCriticalOptions.map(({ name }) => name)).toEqual(['blah']);
  });
});

test('what is made is seen again', () => {
  const certificate = sampleCertificate({
    criticalOptions: [
      forceCommandOption('/bin/echo "hi"'),
      sourceAddressOption(parseNetworkList('192.0.2.0/24,2001:db8::/32')),
      verifyRequiredOption(),
      textOption('new@example.com', 'x'),
    ],
    extensions: [...extensionFlags(['permit-pty', 'no-touch-required']), textOption('login@github.com', 'alice')],
  });
  expect(viewCertificateOptions(certificate)).toEqual({
    forceCommand: '/bin/echo "hi"',
    sourceAddress: '192.0.2.0/24,2001:db8::/32',
    verifyRequired: true,
    extensions: new Set(['permit-pty', 'no-touch-required']),
    unknownCriticalOptions: [textOption('new@example.com', 'x')],
    unknownExtensions: [textOption('login@github.com', 'alice')],
  });
});

test.each([
  ['force-command without text', { criticalOptions: [flagOption('force-command')], extensions: [] }],
  ['two texts', { criticalOptions: [{ name: 'force-command', data: bytes('\0\0\0\0\0\0\0\0') }], extensions: [] }],
  ['verify-required with text', { criticalOptions: [textOption('verify-required', 'x')], extensions: [] }],
  ['permit-pty with text', { criticalOptions: [], extensions: [textOption('permit-pty', '')] }],
])('corrupt for sshd, corrupt for us: %s', (_, options) => {
  expect(() => viewCertificateOptions(options)).toThrow(badValue);
});

test('a name in the wrong list is unknown', () => {
  const options = { criticalOptions: [flagOption('permit-pty')], extensions: [flagOption('verify-required')] };
  const seen = viewCertificateOptions(options);
  expect(seen.verifyRequired).toBe(false);
  expect(seen.unknownCriticalOptions).toHaveLength(1);
  expect(seen.unknownExtensions).toHaveLength(1);
});

describe('network lists', () => {
  test.each([
    '192.0.2.1',
    '192.0.2.0/24',
    '0.0.0.0/0',
    '::/0',
    '::1',
    '2001:db8::/32,10.0.0.0/8',
    '::ffff:192.0.2.0/120',
  ])('takes %s', (text) => {
    expect(parseNetworkList(text)).toBe(text);
  });

  test.each([
    '',
    ',',
    '192.0.2.0/24,',
    '192.0.2.0/24, 10.0.0.0/8',
    '192.0.2.1/24',
    '2001:db8::1/32',
    '192.0.2.0/33',
    '::/129',
    '192.0.2.0/024',
    '192.0.2.0/',
    '192.0.2.0/-1',
    '192.0.2',
    '0300.0.2.1',
    '0x7f.0.0.1',
    '!192.0.2.0/24',
    '192.0.2.*',
    'fe80::1%eth0',
    'example.com',
    'xxxxx',
    '::1::',
  ])('refuses %j', (text) => {
    expect(() => parseNetworkList(text)).toThrow(badValue);
  });

  test('refuses a list that is too long', () => {
    const tooLarge: unknown = expect.objectContaining({ code: 'too-large' });
    expect(() => parseNetworkList(Array(257).fill('::1').join(','))).toThrow(tooLarge);
    expect(() => parseNetworkList('1'.repeat(100_000))).toThrow(tooLarge);
  });

  const networks = parseNetworkList('192.0.2.0/24,198.51.100.7,2001:db8::/32');
  test.each([
    ['192.0.2.255', true],
    ['192.0.3.0', false],
    ['198.51.100.7', true],
    ['198.51.100.8', false],
    ['2001:db8:ffff::1', true],
    ['2001:db9::1', false],
    ['::ffff:192.0.2.9', true],
    ['not an address', false],
    ['', false],
  ])('%s is listed: %s', (address, listed) => {
    expect(isAddressListed(networks, address)).toBe(listed);
  });
});

test('a command needs something in it, and no NUL', () => {
  expect(() => forceCommandOption('')).toThrow(TypeError);
  expect(() => forceCommandOption('a\0')).toThrow(TypeError);
  expect(() => forceCommandOption('x'.repeat(40_000))).toThrow(TypeError);
});
