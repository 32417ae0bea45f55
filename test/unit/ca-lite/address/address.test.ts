import { isIP } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AddressError, addressBytes, addressFromBytes, parseAddress } from '#ca-lite/address/address.ts';

const accepts = (text: string): boolean => {
  try {
    parseAddress(text);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(AddressError);
    expect(error).toMatchObject({ code: 'bad-address' });
    return false;
  }
};

describe('parseAddress', () => {
  test.each([
    ['10.0.0.1', 4, '10.0.0.1'],
    ['255.255.255.255', 4, '255.255.255.255'],
    ['2001:DB8:0:0:0:0:0:1', 6, '2001:db8::1'],
    ['2001:db8:0:1:0:0:0:0', 6, '2001:db8:0:1::'],
    ['::', 6, '::'],
    ['64:ff9b::192.0.2.33', 6, '64:ff9b::c000:221'],
    ['::ffff:10.0.0.1', 4, '10.0.0.1'],
    ['::FFFF:7f00:1', 4, '127.0.0.1'],
    ['0:0:0:0:0:ffff:a9fe:a9fe', 4, '169.254.169.254'],
  ])('%s is family %d, %s', (text, family, canonical) => {
    expect(parseAddress(text)).toEqual({ family, text: canonical });
  });

  test.each([
    '',
    ' ',
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    '0x7f000001',
    '0177.0.0.1',
    '127.0.0.01',
    '127.0.0.1.',
    '.127.0.0.1',
    '256.0.0.1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '1.2.3.4\n',
    '1.2.3.4/32',
    '1.2.3.4:22',
    '+1.2.3.4',
    '١.2.3.4',
    '1。2。3。4',
    'localhost',
    'fe80::1%eth0',
    'fe80::1%1',
    '[::1]',
    '::1]:22',
    ':::',
    '1::2::3',
    ':1',
    '1:',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    '::g',
    '::127.1',
    '::ffff:0177.0.0.1',
    '::ffff:0x7f.0.0.1',
    '::1.2.3.256',
    '::1\0',
    '0'.repeat(46),
    `${'0:'.repeat(40)}1`,
  ])('refuses %j', (text) => {
    expect(accepts(text)).toBe(false);
  });

  test('agrees with the operating system rules on anything that looks like an address', () => {
    const groups = fc.array(fc.constantFrom('0', '1', 'ffff', '7f00', '00', '12345', '', '0001'), { maxLength: 9 });
    const octets = fc.array(fc.constantFrom('0', '1', '127', '255', '256', '01', '0x1', ''), {
      minLength: 1,
      maxLength: 5,
    });
    const v6 = groups.map((parts) => parts.join(':'));
    const v4 = octets.map((parts) => parts.join('.'));
    const mixed = fc.tuple(v6, v4).map(([head, tail]) => `${head}:${tail}`);
    fc.assert(
      fc.property(fc.oneof(v6, v4, mixed), (text) => {
        expect(accepts(text)).toBe(isIP(text) !== 0);
      }),
      { numRuns: 3000 },
    );
  });

  test('any text is an address or refused', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(accepts(text)).toBe(isIP(text) !== 0 && !text.includes('%'));
      }),
    );
  });

  test('canonical text means the same address, and every spelling has the same canonical text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const parsed = parseAddress(text);
        expect(parseAddress(parsed.text)).toEqual(parsed);
        expect(parseAddress(text.toUpperCase())).toEqual(parsed);
        expect(addressFromBytes(addressBytes(parsed))).toEqual(parsed);
      }),
    );
  });

  test('a mapped address is the IPv4 address, however it is written', () => {
    fc.assert(
      fc.property(fc.ipV4(), (text) => {
        const hex = addressBytes(parseAddress(text))
          .map((byte) => byte.toString(16).padStart(2, '0'))
          .join('');
        expect(parseAddress(`::ffff:${text}`)).toEqual(parseAddress(text));
        expect(parseAddress(`0:0::FFFF:${hex.slice(0, 4)}:${hex.slice(4)}`)).toEqual(parseAddress(text));
      }),
    );
  });
});
