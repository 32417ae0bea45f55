import { assert, base64String, nat, property, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBase64, decodeBase64Url, encodeBase64, encodeBase64Unpadded, encodeBase64Url } from '#openssh/base64.ts';
import { bytes } from './samples.ts';

const badBase64: unknown = expect.objectContaining({ code: 'bad-base64' });

// RFC 4648 section 10.
test.each([
  ['', ''],
  ['f', 'Zg=='],
  ['fo', 'Zm8='],
  ['foo', 'Zm9v'],
  ['foobar', 'Zm9vYmFy'],
])('%j is %j', (text, encoded) => {
  expect(encodeBase64(bytes(text))).toBe(encoded);
  expect(decodeBase64(encoded)).toEqual(bytes(text));
  expect(encodeBase64Unpadded(bytes(text))).toBe(encoded.replaceAll('=', ''));
});

describe('refuses what Buffer forgives', () => {
  test.each([
    ['no padding', 'Zg'],
    ['half the padding', 'Zg='],
    ['too much padding', 'Zm9v===='],
    ['trailing bits that are not zero', 'Zh=='],
    ['a line break', 'Zm9v\nYmFy'],
    ['white space', ' Zm9v'],
    ['a foreign character', 'Zm9*'],
    ['the other alphabet', '-_-_'],
    ['text after the padding', 'Zg==Zg=='],
    ['one character', 'Z'],
  ])('%s', (_, text) => {
    expect(() => decodeBase64(text)).toThrow(badBase64);
  });

  test.each([
    ['padding in base64url', 'Zg=='],
    ['the standard alphabet in base64url', '+/+/'],
    ['trailing bits in base64url', 'Zh'],
  ])('%s', (_, text) => {
    expect(() => decodeBase64Url(text)).toThrow(badBase64);
  });
});

test('decoded bytes stand alone, not in a pool', () => {
  expect(decodeBase64('Zm9v').buffer.byteLength).toBe(3);
});

test('every byte string comes back', () => {
  assert(
    property(uint8Array(), (input) => {
      expect(decodeBase64(encodeBase64(input))).toEqual(input);
      expect(decodeBase64Url(encodeBase64Url(input))).toEqual(input);
    }),
  );
});

test('a text is accepted only if it is the one for its bytes', () => {
  assert(
    property(base64String(), nat({ max: 127 }), nat(), (text, code, at) => {
      const changed =
        text.slice(0, at % (text.length + 1)) + String.fromCharCode(code) + text.slice(at % (text.length + 1));
      try {
        expect(encodeBase64(decodeBase64(changed))).toBe(changed);
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad-base64' });
      }
    }),
  );
});
