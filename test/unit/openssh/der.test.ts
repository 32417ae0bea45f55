import { describe, expect, test } from 'vitest';
import { DER_INTEGER, contentOf, readDer, readDerInside, smallInteger } from '#openssh/der.ts';
import { fromHex } from './samples.ts';

const failsWith = (code: string): unknown => expect.objectContaining({ name: 'FormatError', code });

test('reads elements one after the other, and inside one', () => {
  expect(readDer(fromHex('0500 020107'))).toEqual([
    { tag: 0x05, content: new Uint8Array() },
    { tag: 0x02, content: fromHex('07') },
  ]);
  expect(readDerInside(readDer(fromHex('3003 020107'))[0])).toEqual([{ tag: 0x02, content: fromHex('07') }]);
});

test.each([127, 128, 255, 256, 65_535, 65_536])('reads %i bytes of content', (length) => {
  const hex = length.toString(16).padStart(length < 256 ? 2 : length < 65_536 ? 4 : 6, '0');
  const head = length < 128 ? hex : `8${hex.length / 2}${hex}`;
  expect(readDer(fromHex(`04${head}${'00'.repeat(length)}`))[0]?.content).toHaveLength(length);
});

describe('refuses', () => {
  test.each([
    ['a tag alone', '30', 'truncated'],
    ['content cut off', '0202 07', 'truncated'],
    ['a length cut off', '0482 01', 'truncated'],
    ['an indefinite length', '3080 0000', 'bad-value'],
    ['a long form that a short one could say', '04817f' + '00'.repeat(127), 'bad-value'],
    ['a long form with a zero in front', '04820080' + '00'.repeat(128), 'bad-value'],
    ['a length of five bytes', '04850000000001', 'bad-value'],
    ['a tag of several bytes', '1f8101 00', 'bad-value'],
    ['a length over what is there', '0484ffffffff', 'truncated'],
  ])('%s', (_, hex, code) => {
    expect(() => readDer(fromHex(hex))).toThrow(failsWith(code));
  });

  test('another tag, and nothing', () => {
    expect(() => contentOf(readDer(fromHex('0500'))[0], DER_INTEGER)).toThrow(failsWith('bad-value'));
    expect(() => contentOf(undefined, DER_INTEGER)).toThrow(failsWith('bad-value'));
  });
});

test.each([
  ['020100', 0],
  ['02017f', 127],
  ['02020080', 128],
  ['020500ffffffff', 0xffff_ffff],
])('the integer %s is %i', (hex, value) => {
  expect(smallInteger(readDer(fromHex(hex))[0])).toBe(value);
});

test.each([
  ['0200', 'bad-value'],
  ['020180', 'bad-value'],
  ['0206010000000000', 'too-large'],
  ['02050100000000', 'too-large'],
])('the integer %s is refused', (hex, code) => {
  expect(() => smallInteger(readDer(fromHex(hex))[0])).toThrow(failsWith(code));
});
