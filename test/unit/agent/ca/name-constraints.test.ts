/** Name constraints (RFC 5280 section 4.2.1.10): what they allow, and what is refused because it is not understood. */
import { describe, expect, test } from 'vitest';
import { allowsNames } from '#agent/ca/name-constraints.ts';

const der = (tag: number, ...parts: readonly (readonly number[])[]): number[] => {
  const value = parts.flat();
  const length = value.length < 0x80 ? [value.length] : [0x82, value.length >> 8, value.length & 0xff];
  return [tag, ...length, ...value];
};
const dns = (base: string) => der(0x30, der(0x82, [...Buffer.from(base)]));
const ip = (...bytes: number[]) => der(0x30, der(0x87, bytes));
const constraints = (permitted: number[][], excluded: number[][] = []) =>
  Uint8Array.from(
    der(
      0x30,
      permitted.length === 0 ? [] : der(0xa0, ...permitted),
      excluded.length === 0 ? [] : der(0xa1, ...excluded),
    ),
  );
const host = (value: string) => ({ type: 'dns', value });
const address = (value: string) => ({ type: 'ip', value });

describe('DNS names', () => {
  const bound = constraints([dns('example.internal'), dns('.lab.example')], [dns('no.example.internal')]);

  test.each(['example.internal', 'ca.example.internal', 'CA.Example.Internal', 'a.lab.example'])(
    '%s is allowed',
    (name) => {
      expect(allowsNames(bound, [host(name)])).toBe(true);
    },
  );

  test.each(['example.org', 'badexample.internal', 'lab.example', 'no.example.internal', 'x.no.example.internal', ''])(
    '%j is not',
    (name) => {
      expect(allowsNames(bound, [host(name)])).toBe(false);
      expect(allowsNames(bound, [host('ca.example.internal'), host(name)])).toBe(false);
    },
  );

  test('an empty base is every name', () => {
    expect(allowsNames(constraints([dns('')]), [host('x')])).toBe(true);
    expect(allowsNames(constraints([], [dns('')]), [host('x')])).toBe(false);
  });
});

describe('addresses', () => {
  const bound = constraints([ip(10, 0, 0, 0, 255, 0, 0, 0)], [ip(10, 1, 0, 0, 255, 255, 0, 0)]);

  test.each([
    ['10.2.3.4', true],
    ['10.1.3.4', false],
    ['11.2.3.4', false],
    ['fd00::1', false],
  ])('%s: %s', (text, allowed) => {
    expect(allowsNames(bound, [address(text)])).toBe(allowed);
  });

  test('of the other kind are not constrained by names', () => {
    expect(allowsNames(constraints([dns('example.internal')]), [address('192.0.2.1')])).toBe(true);
    expect(allowsNames(bound, [host('anything')])).toBe(true);
  });

  test('with a length that is none exclude what they are about', () => {
    expect(allowsNames(constraints([ip(10, 0, 0, 0)]), [address('10.0.0.1')])).toBe(false);
    expect(allowsNames(constraints([], [ip(10, 0, 0, 0)]), [address('10.0.0.1')])).toBe(false);
  });
});

test('other kinds of names are allowed where nothing is said of them', () => {
  const mail = { type: 'email', value: 'a@example.internal' };
  const bound = der(0x30, der(0x81, [...Buffer.from('example.internal')]));
  expect(allowsNames(constraints([dns('x')]), [mail])).toBe(true);
  expect(allowsNames(constraints([bound]), [mail])).toBe(false);
  expect(allowsNames(constraints([], [bound]), [mail])).toBe(false);
  expect(allowsNames(constraints([dns('x')]), [{ type: 'guid', value: 'x' }])).toBe(false);
});

test.each([
  ['nothing', Uint8Array.of()],
  ['an empty list', Uint8Array.of(0x30, 0)],
  ['directory names', constraints([der(0x30, der(0xa4, [0x30, 0]))])],
  ['a minimum', constraints([der(0x30, der(0x82, [0x61]), der(0x80, [1]))])],
  ['an unknown list', Uint8Array.from(der(0x30, der(0xa2, dns('a'))))],
  ['something after it', Uint8Array.from([...constraints([dns('a')]), 5, 0])],
  ['a length that is too long', Uint8Array.of(0x30, 9, 0xa0, 1)],
  ['a length in a longer form', Uint8Array.of(0x30, 0x81, 2, 0xa0, 0)],
  ['an indefinite length', Uint8Array.of(0x30, 0x80, 0xa0, 0, 0, 0)],
  ['more than can be meant', constraints(Array.from({ length: 257 }, () => dns('a')))],
])('refuses %s', (_, extension) => {
  expect(allowsNames(extension, [host('a')])).toBe(false);
});

test('refuses any piece of it', () => {
  const whole = constraints([dns('a'), ip(10, 0, 0, 0, 255, 0, 0, 0)]);
  expect(allowsNames(whole, [host('a')])).toBe(true);
  for (let length = 0; length < whole.length; length += 1) {
    expect(allowsNames(whole.subarray(0, length), [host('a')])).toBe(false);
  }
});
