import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseHostName } from '#ca-lite/dns/host-name.ts';

describe('parseHostName', () => {
  test.each([
    ['db1', 'db1'],
    ['DB1.Example.INTERNAL', 'db1.example.internal'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['a-b.c--d.e', 'a-b.c--d.e'],
    ['1.example', '1.example'],
    ['10.0.0.1.example', '10.0.0.1.example'],
    [`${'a'.repeat(63)}.b`, `${'a'.repeat(63)}.b`],
    [`${'abcdefghi.'.repeat(25)}abc`, `${'abcdefghi.'.repeat(25)}abc`],
  ])('%s', (text, expected) => {
    expect(parseHostName(text)).toBe(expected);
  });

  test.each([
    ['empty', ''],
    ['a trailing dot', 'example.internal.'],
    ['a leading dot', '.example'],
    ['an empty label', 'a..b'],
    ['a hyphen first', '-a.example'],
    ['a hyphen last', 'a-.example'],
    ['an underscore', '_ssh.example'],
    ['a wildcard', '*.example'],
    ['white space', 'a b'],
    ['a line end', 'example\n'],
    ['NUL', 'example\0.evil'],
    ['a comma', 'a,b'],
    ['a slash', 'a/b'],
    ['an at sign', 'root@a'],
    ['Unicode', 'bücher.example'],
    ['a Unicode dot', 'a。b'],
    ['a Kelvin sign, which lower-cases to k', '\u212a.example'],
    ['a long label', `${'a'.repeat(64)}.b`],
    ['a long name', `${'abcdefghi.'.repeat(25)}abcd`],
    ['IPv4', '10.0.0.1'],
    ['short IPv4', '127.1'],
    ['a number', '2130706433'],
    ['hexadecimal', '0x7f000001'],
    ['hexadecimal at the end', 'a.0X7F'],
    ['an empty hexadecimal number', 'a.0x'],
    ['IPv6', '::1'],
    ['IPv6 in brackets', '[::1]'],
    ['a port', 'a:22'],
  ])('refuses %s', (_why, text) => {
    expect(parseHostName(text)).toBeUndefined();
  });

  test('whatever it accepts is lower-case letters, digits, hyphens and dots, and accepted again', () => {
    const near = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '9', '-', '.', 'x', '_', 'ß', '\n'), maxLength: 20 });
    fc.assert(
      fc.property(fc.oneof(near, fc.string(), fc.domain()), (text) => {
        const name = parseHostName(text);
        if (name === undefined) return;
        expect(name).toMatch(/^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/);
        expect(name).toBe(text.toLowerCase());
        expect(parseHostName(name)).toBe(name);
      }),
    );
  });
});
