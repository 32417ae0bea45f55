import { describe, expect, test } from 'vitest';
import { type AllowedSigner, formatAllowedSigner, parseAllowedSigner } from '#openssh/allowed-signers.ts';
import { formatPublicKeyLine } from '#openssh/public-key.ts';
import { sampleCa, sampleKeys } from './samples.ts';

const key = sampleCa.publicKey;
const keyText = formatPublicKeyLine(key);

test('a line for a CA in one namespace', () => {
  const line = formatAllowedSigner({
    principals: ['ca@countersign'],
    certAuthority: true,
    namespaces: ['host-challenge@countersign'],
    key,
  });
  expect(line).toBe(`ca@countersign cert-authority,namespaces="host-challenge@countersign" ${keyText}`);
});

test.each<[string, AllowedSigner]>([
  ['nothing but the key', { principals: ['a@b'], key }],
  ['patterns', { principals: ['*@example.com', '!root@example.com'], namespaces: ['file', '*@x'], key }],
  ['times', { principals: ['a'], validAfter: 1n, validBefore: 253_402_300_799n, key, comment: 'a comment' }],
  ['a security key', { principals: ['a'], key: sampleKeys['sk-ecdsa-sha2-nistp256@openssh.com'].publicKey }],
])('%s comes back', (_, signer) => {
  expect(parseAllowedSigner(formatAllowedSigner(signer))).toEqual(signer);
});

test.each([
  ['quoted principals', `"a,b" ${keyText}`, { principals: ['a', 'b'], key }],
  [
    'options in any case',
    `a CERT-AUTHORITY,NameSpaces="n" ${keyText}`,
    {
      principals: ['a'],
      certAuthority: true,
      namespaces: ['n'],
      key,
    },
  ],
  ['a space in quotes', `a namespaces="x y" ${keyText}`, { principals: ['a'], namespaces: ['x y'], key }],
  [
    'short times',
    `a valid-after="20300101Z",valid-before="203001011230Z" ${keyText}`,
    {
      principals: ['a'],
      validAfter: 1_893_456_000n,
      validBefore: 1_893_501_000n,
      key,
    },
  ],
  ['a blank line', '  ', undefined],
  ['a comment', ' # a', undefined],
])('reads %s', (_, line, signer) => {
  expect(parseAllowedSigner(line)).toEqual(signer);
});

test.each([
  ['no key', 'a'],
  ['no principals', keyText],
  ['an empty principal', `a,,b ${keyText}`],
  ['an unknown option', `a restrict ${keyText}`],
  ['an unknown option after a known one', `a cert-authority,restrict ${keyText}`],
  ['an option twice', `a namespaces="x",namespaces="y" ${keyText}`],
  ['an option without its value', `a namespaces ${keyText}`],
  ['an open quote', `a namespaces="x ${keyText}`],
  ['a value for a flag', `a cert-authority="x" ${keyText}`],
  ['a comma at the end', `a cert-authority, ${keyText}`],
  ['a local time', `a valid-after="20300101" ${keyText}`],
  ['a day that is not', `a valid-after="20300230Z" ${keyText}`],
  ['an hour that is not', `a valid-after="203001012400Z" ${keyText}`],
  ['times the wrong way round', `a valid-after="20300102Z",valid-before="20300101Z" ${keyText}`],
])('refuses %s', (_, line) => {
  expect(() => parseAllowedSigner(line)).toThrow(expect.objectContaining({ name: 'FormatError' }));
});

describe('never written', () => {
  test.each<[string, Partial<AllowedSigner>]>([
    ['no principals', { principals: [] }],
    ['a space', { principals: ['a b'] }],
    ['a comma', { principals: ['a,b'] }],
    ['a quote', { namespaces: ['a"b'] }],
    ['a comment sign', { principals: ['#a'] }],
    ['time 0', { validAfter: 0n }],
    ['the year 10000', { validBefore: 253_402_300_800n }],
  ])('%s', (_, changes) => {
    expect(() => formatAllowedSigner({ principals: ['a'], key, ...changes })).toThrow(TypeError);
  });
});
