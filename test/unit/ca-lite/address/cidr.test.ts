import { BlockList } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AddressError, addressBytes, addressFromBytes, parseAddress } from '#ca-lite/address/address.ts';
import { allowedBy, cidrContains, formatCidr, isPrivate, parseCidr } from '#ca-lite/address/cidr.ts';

describe('parseCidr', () => {
  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['192.0.2.7/32', '192.0.2.7/32'],
    ['10.1.2.128/25', '10.1.2.128/25'],
    ['2001:DB8:0:0::/32', '2001:db8::/32'],
    ['::/0', '::/0'],
    ['fd00::1/128', 'fd00::1/128'],
  ])('%s is %s', (text, canonical) => {
    expect(formatCidr(parseCidr(text))).toBe(canonical);
  });

  test.each([
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/8 ',
    '10.0.0.0/255.0.0.0',
    '10/8',
    '/8',
    '10.0.0.1/8',
    '10.1.2.129/25',
    '2001:db8::1/64',
    '2001:db8::/129',
    '::ffff:10.0.0.0/104',
    'fe80::%1/64',
    '010.0.0.0/8',
  ])('refuses %j', (text) => {
    expect(() => parseCidr(text)).toThrow(AddressError);
    expect(() => parseCidr(text)).toThrow(expect.objectContaining({ code: 'bad-cidr' }));
  });
});

const anyAddress = fc.oneof(fc.ipV4(), fc.ipV6()).map(parseAddress);

test('contains what the block list of node:net contains', () => {
  const prefix = fc.tuple(anyAddress, fc.nat(128));
  fc.assert(
    fc.property(prefix, anyAddress, fc.nat(), ([base, length], other, flip) => {
      const bits = base.family === 4 ? length % 33 : length;
      const network = addressBytes(base).map(
        (byte, i) => byte & (0xff << Math.max(0, Math.min(8, 8 * (i + 1) - bits))) & 0xff,
      );
      // Half of the candidates differ from the base in one bit, so that both answers occur.
      const near = addressBytes(base);
      const bit = flip % (near.length * 8);
      near[bit >> 3] = (near[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const cidr = parseCidr(`${addressFromBytes(network).text}/${bits}`);
      const list = new BlockList();
      list.addSubnet(cidr.network.text, bits, base.family === 4 ? 'ipv4' : 'ipv6');
      for (const candidate of [other, addressFromBytes(near), base]) {
        const expected =
          candidate.family === base.family && list.check(candidate.text, candidate.family === 4 ? 'ipv4' : 'ipv6');
        expect(cidrContains(cidr, candidate)).toBe(expected);
      }
    }),
  );
});

describe('allowedBy', () => {
  const allowed = (cidrs: string[], address: string): boolean => allowedBy(cidrs.map(parseCidr), parseAddress(address));

  test('nothing is allowed by default', () => {
    fc.assert(
      fc.property(anyAddress, (address) => {
        expect(allowedBy([], address)).toBe(false);
      }),
    );
  });

  test.each(['10.1.2.3', '172.31.255.255', '192.168.0.1', '100.64.0.1', 'fd12:3456::1'])(
    '%s is private, and the whole Internet does not include it',
    (address) => {
      expect(isPrivate(parseAddress(address))).toBe(true);
      expect(allowed(['0.0.0.0/0', '::/0', '10.0.0.0/7', 'fc00::/6'], address)).toBe(false);
    },
  );

  test.each([
    [['10.0.0.0/8'], '10.1.2.3', true],
    [['10.1.0.0/16', '0.0.0.0/0'], '10.1.2.3', true],
    [['10.1.0.0/16', '0.0.0.0/0'], '10.2.2.3', false],
    [['fd00::/8'], 'fd12:3456::1', true],
    [['0.0.0.0/0'], '8.8.8.8', true],
    [['0.0.0.0/0'], '2606:4700::1', false],
    [['::/0'], '2606:4700::1', true],
    [['::/0'], '8.8.8.8', false],
    [['10.0.0.0/8'], '::ffff:10.1.2.3', true],
    [['100.64.0.0/10'], '100.127.255.255', true],
  ])('%j and %s: %s', (cidrs, address, expected) => {
    expect(allowed(cidrs, address)).toBe(expected);
  });
});
