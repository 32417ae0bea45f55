import { describe, expect, test } from 'vitest';
import { parseCaUrl, parseRootFingerprint } from '#agent/ca/ca-url.ts';
import { printable } from '#agent/ca/foreign-text.ts';

describe('parseCaUrl', () => {
  test.each([
    ['https://ca.example.internal:8443', 'https://ca.example.internal:8443'],
    ['https://ca.example.internal/', 'https://ca.example.internal'],
    ['HTTPS://CA.Example.Internal:443', 'https://ca.example.internal'],
    ['ca.example.internal:8443', 'https://ca.example.internal:8443'],
    ['https://[fd00::1]:8443', 'https://[fd00::1]:8443'],
  ])('%s is %s', (text, origin) => {
    expect(parseCaUrl(text)).toBe(origin);
  });

  test.each([
    '',
    'http://ca.example.internal',
    'ftp://ca.example.internal',
    'https://',
    'https://user:secret@ca.example.internal',
    'https://ca.example.internal/ca',
    'https://ca.example.internal/?a=b',
    'https://ca.example.internal/#a',
    'https://ca example',
  ])('refuses %j', (text) => {
    expect(() => parseCaUrl(text)).toThrow(expect.objectContaining({ name: 'CaError', code: 'ca-url-invalid' }));
  });
});

describe('parseRootFingerprint', () => {
  const hex = '0123456789abcdef'.repeat(4);

  test.each([hex, hex.toUpperCase(), (hex.match(/../g) ?? []).join(':'), `SHA256:${hex}`, ` ${hex} `])(
    'reads %s',
    (text) => {
      expect(parseRootFingerprint(text)).toBe(hex);
    },
  );

  test.each(['', hex.slice(1), `${hex}0`, hex.replace('0', 'g')])('refuses %j', (text) => {
    expect(() => parseRootFingerprint(text)).toThrow(expect.objectContaining({ code: 'root-fingerprint-mismatch' }));
  });
});

test('printable text of the CA has one line, no control characters, and a bound', () => {
  expect(printable('  a\n\tb\u001b[31mc\u202ed  ', 100)).toBe('a b [31mc d');
  expect(printable('x'.repeat(11), 10)).toBe(`${'x'.repeat(10)}…`);
});
