import { describe, expect, test } from 'vitest';
import { chooseAddresses, isRoutable, normalizeAddress, normalizeName } from '#agent/host/identity-choice.ts';

describe('names', () => {
  test.each([
    ['Web1.Example.Internal.\n', 'web1.example.internal'],
    ['web1', 'web1'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ])('%j is %s', (text, name) => {
    expect(normalizeName(text)).toBe(name);
  });

  test.each([
    '',
    '.',
    'a..b',
    '-a.example',
    'a_b.example',
    'b\u00fccher.example',
    '*.example',
    'a b',
    `${'a'.repeat(64)}.example`,
  ])('%j is none', (text) => {
    expect(normalizeName(text)).toBeUndefined();
  });
});

describe('addresses', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:DB8:0::7', '2001:db8::7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
  ])('%s is %s', (text, address) => {
    expect(normalizeAddress(text)).toBe(address);
  });

  test.each(['', '192.0.2', '192.0.2.256', '0300.0.2.7', '0x7f.1', 'fe80::1%eth0', '192.0.2.7:22', '[::1]', 'web1'])(
    '%j is none',
    (text) => {
      expect(normalizeAddress(text)).toBeUndefined();
    },
  );

  test('loopback and link-local mean nothing to others', () => {
    const addresses = [
      '127.0.0.1',
      '127.0.1.1',
      '::1',
      '169.254.1.1',
      'fe80::1',
      '224.0.0.1',
      '0.0.0.0',
      '10.0.0.1',
      'fd00::1',
    ];
    expect(addresses.filter(isRoutable)).toEqual(['10.0.0.1', 'fd00::1']);
  });
});

describe('chooseAddresses', () => {
  const local = ['10.0.0.5', 'fd00::5', '172.17.0.1'];

  test('takes what DNS has for the names, and not every address of the machine', () => {
    const facts = [
      { name: 'web1.example', resolved: ['10.0.0.5', 'fd00::5'] },
      { name: 'www.example', resolved: ['10.0.0.5', 'fd00::5'] },
    ];
    expect(chooseAddresses(facts, local)).toEqual(['10.0.0.5', 'fd00::5']);
  });

  test('takes the addresses of the machine where DNS has nothing: the CA will say so', () => {
    expect(chooseAddresses([{ name: 'web1.example', resolved: [] }], local)).toEqual(local);
  });

  test.each([
    ['one that is elsewhere', [{ name: 'web1.example', resolved: ['192.0.2.1'] }]],
    ['one of two that is elsewhere', [{ name: 'web1.example', resolved: ['10.0.0.5', '192.0.2.1'] }]],
  ])('refuses %s', (_, facts) => {
    expect(() => chooseAddresses(facts, local)).toThrow(
      expect.objectContaining({ name: 'HostError', code: 'name-elsewhere' }),
    );
  });

  test('refuses a machine without any address', () => {
    expect(() => chooseAddresses([{ name: 'web1', resolved: [] }], [])).toThrow(
      expect.objectContaining({ code: 'address-unknown' }),
    );
  });
});
