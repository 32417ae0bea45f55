import * as fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, test } from 'vitest';
import { type IpAddress, addressBytes, parseAddress } from '#ca-lite/address/address.ts';
import { parseCidr } from '#ca-lite/address/cidr.ts';
import { type DialPolicy, alwaysDenied, checkDialable } from '#ca-lite/address/dialable.ts';
import { ownAddresses } from '#ca-lite/address/own-addresses.ts';

const everything = [
  '0.0.0.0/0',
  '::/0',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  'fc00::/7',
].map(parseCidr);
const own = ['10.0.0.5', '2001:470::5'].map(parseAddress);
const open: DialPolicy = { allowed: everything, own, allowLoopback: false };
const development: DialPolicy = { ...open, allowLoopback: true };

const denialOf = (address: IpAddress, policy = open): string | undefined => {
  const verdict = checkDialable(address, policy);
  return verdict.allowed ? undefined : verdict.denial;
};

test.each([
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['::1', 'loopback'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['0.0.0.0', 'unspecified'],
  ['0.1.2.3', 'unspecified'],
  ['::', 'unspecified'],
  ['169.254.1.1', 'link-local'],
  ['fe80::1', 'link-local'],
  ['febf::1', 'link-local'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['ff02::1', 'multicast'],
  ['255.255.255.255', 'broadcast'],
  ['169.254.169.254', 'cloud-metadata'],
  ['::ffff:a9fe:a9fe', 'cloud-metadata'],
  ['169.254.170.2', 'cloud-metadata'],
  ['100.100.100.200', 'cloud-metadata'],
  ['168.63.129.16', 'cloud-metadata'],
  ['192.0.0.192', 'cloud-metadata'],
  ['fd00:ec2::254', 'cloud-metadata'],
  ['fd20:ce::254', 'cloud-metadata'],
  ['fd00:c1::a9fe:a9fe', 'cloud-metadata'],
  ['fd00:42::42', 'cloud-metadata'],
  ['fd00:a9fe:a9fe::1', 'cloud-metadata'],
  ['fe80::a9fe:a9fe', 'cloud-metadata'],
  ['192.0.2.1', 'documentation'],
  ['198.51.100.1', 'documentation'],
  ['203.0.113.1', 'documentation'],
  ['2001:db8::1', 'documentation'],
  ['3fff::1', 'documentation'],
  ['198.18.0.1', 'benchmarking'],
  ['198.19.255.255', 'benchmarking'],
  ['2001:2::1', 'benchmarking'],
  ['192.0.0.1', 'special-purpose'],
  ['192.31.196.1', 'special-purpose'],
  ['100::1', 'special-purpose'],
  ['2001:20::1', 'special-purpose'],
  ['5f00::1', 'special-purpose'],
  ['240.0.0.1', 'reserved'],
  ['fec0::1', 'reserved'],
  ['4000::1', 'reserved'],
  ['200::1', 'reserved'],
  ['192.88.99.1', 'tunnel'],
  ['2002:808:808::1', 'tunnel'],
  ['2001:0:808:808::f7f7:f7f7', 'tunnel'],
  ['64:ff9b:1::808:808', 'tunnel'],
  ['::808:808', 'tunnel'],
  ['10.0.0.5', 'own-address'],
  ['2001:470::5', 'own-address'],
])('%s is denied, as %s, whatever the policy says', (text, reason) => {
  expect(denialOf(parseAddress(text))).toBe(reason);
  expect(alwaysDenied(parseAddress(text), own, open)).toBe(reason);
});

test.each([
  '10.0.0.6',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  'fd12:3456::1',
  '8.8.8.8',
  '2606:4700::1',
  '2001:470::6',
])('%s is dialable where a range allows it, and only there', (text) => {
  const address = parseAddress(text);
  expect(checkDialable(address, open)).toEqual({ allowed: true, address });
  expect(denialOf(address, { ...open, allowed: [] })).toBe('not-allowed');
});

describe('an address hidden in an IPv6 form is judged too', () => {
  const hex = (address: IpAddress): string =>
    addressBytes(address)
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('')
      .replace(/(.{4})/, '$1:');
  const inverted = (address: IpAddress): string =>
    addressBytes(address)
      .map((byte) => (byte ^ 0xff).toString(16).padStart(2, '0'))
      .join('')
      .replace(/(.{4})/, '$1:');
  const forms: readonly (readonly [string, (inside: IpAddress) => string])[] = [
    ['6to4', (inside) => `2002:${hex(inside)}::1`],
    ['Teredo server', (inside) => `2001:0:${hex(inside)}:0:0:f7f7:f7f7`],
    ['Teredo client', (inside) => `2001:0:808:808:0:0:${inverted(inside)}`],
    ['NAT64', (inside) => `64:ff9b::${hex(inside)}`],
    ['local NAT64', (inside) => `64:ff9b:1::${hex(inside)}`],
    ['IPv4-translated', (inside) => `::ffff:0:${hex(inside)}`],
    ['ISATAP', (inside) => `2606:4700::5efe:${hex(inside)}`],
    ['ISATAP, universal', (inside) => `2606:4700::200:5efe:${hex(inside)}`],
  ];
  test.each(forms)('%s', (_name, write) => {
    for (const [inside, reason] of [
      ['127.0.0.1', 'loopback'],
      ['169.254.169.254', 'cloud-metadata'],
      ['100.100.100.200', 'cloud-metadata'],
      ['10.0.0.5', 'own-address'],
      ['10.0.0.6', 'tunnel'],
      ['192.168.0.1', 'tunnel'],
    ] as const) {
      expect(denialOf(parseAddress(write(parseAddress(inside))), development), inside).toBe(reason);
    }
  });

  test('NAT64 to a public host is the one form that a policy can open', () => {
    expect(denialOf(parseAddress('64:ff9b::8.8.8.8'))).toBeUndefined();
    expect(denialOf(parseAddress('64:ff9b::8.8.8.8'), { ...open, allowed: [] })).toBe('not-allowed');
  });
});

describe('the development switch', () => {
  test('opens loopback, without a range and although it is an own address', () => {
    const policy: DialPolicy = { allowed: [], own: ['127.0.0.1', '::1'].map(parseAddress), allowLoopback: true };
    for (const text of ['127.0.0.1', '127.0.0.53', '::1', '::ffff:127.0.0.1']) {
      expect(denialOf(parseAddress(text), policy)).toBeUndefined();
    }
  });

  test('changes nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()).map(parseAddress), (address) => {
        const closed = checkDialable(address, open);
        if (!closed.allowed && closed.denial === 'loopback') return;
        expect(checkDialable(address, development)).toEqual(closed);
      }),
    );
  });
});

test('whatever another library calls special is never dialable', () => {
  const ordinary = new Set(['unicast', 'private', 'uniqueLocal', 'carrierGradeNat', 'rfc6052']);
  const prefixes = ['0', '10', '100.64', '127', '169.254', '192.0.0', '192.88.99', '198.18', '203.0.113', '224', '240'];
  const nearV4 = fc.tuple(fc.constantFrom(...prefixes), fc.array(fc.nat(255), { minLength: 3, maxLength: 3 }));
  const heads = [
    '::',
    '64:ff9b::',
    '100::',
    '2001::',
    '2001:2::',
    '2001:10::',
    '2001:20::',
    '2001:30::',
    '2001:db8::',
    '2002::',
  ];
  const nearV6 = fc.tuple(
    fc.constantFrom(...heads, '2620:4f:8000::', '3fff::', 'fe80::', 'ff02::', '5f00::'),
    fc.nat(0xffff),
  );
  const text = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    nearV4.map(([head, tail]) => [...head.split('.'), ...tail].slice(0, 4).join('.')),
    nearV6.map(([head, tail]) => `${head}${tail.toString(16)}`),
  );
  fc.assert(
    fc.property(text.map(parseAddress), (address) => {
      const range = ipaddr.parse(address.text).range();
      if (!ordinary.has(range)) expect(alwaysDenied(address, [], open), range).toBeDefined();
    }),
    { numRuns: 2000 },
  );
});

test('the addresses of this machine are denied', () => {
  const mine = ownAddresses();
  expect(mine.map((address) => address.text)).toContain('127.0.0.1');
  for (const address of mine) expect(alwaysDenied(address, mine, open)).toBeDefined();
});
