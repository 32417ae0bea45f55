/** The template's TLV form, byte by byte, and against bytes that nobody meant. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HsmError } from '#ca-lite/yubihsm/errors.ts';
import { decodeSshTemplate, encodeSshTemplate, type SshTemplate } from '#ca-lite/yubihsm/ssh-template.ts';

const modulus = new Uint8Array(256).fill(0xc2);
const template: SshTemplate = {
  timestampModulus: modulus,
  caKeyIds: [0x0001, 0x00ab, 0x0014],
  notBeforeOffsetSeconds: 300,
  notAfterOffsetSeconds: 36_000,
  forbiddenPrincipals: ['root', 'toor'],
};

/** Written out by hand from the published layout: 300 s is 0000012c, 36,000 s is 00008ca0. */
const bytes = Buffer.concat([
  Buffer.from('01000109', 'hex'),
  Buffer.from('020100', 'hex'),
  modulus,
  Buffer.from('030006000100ab0014', 'hex'),
  Buffer.from('0400040000012c', 'hex'),
  Buffer.from('05000400008ca0', 'hex'),
  Buffer.from('06000a', 'hex'),
  Buffer.from('root\0toor\0', 'latin1'),
]);

test('a template is encoded as published, and decoded again', () => {
  expect(Buffer.from(encodeSshTemplate(template)).toString('hex')).toBe(bytes.toString('hex'));
  expect(decodeSshTemplate(bytes)).toEqual(template);
});

test('a template without forbidden principals has an empty list, or none', () => {
  const without = { ...template, forbiddenPrincipals: [] };
  expect(decodeSshTemplate(encodeSshTemplate(without))).toEqual(without);
  expect(decodeSshTemplate(bytes.subarray(0, -13))).toEqual(without);
});

test('every template that can be encoded is decoded to itself', () => {
  const principal = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((text) => !text.includes('\0'));
  const any = fc.record({
    timestampModulus: fc.uint8Array({ minLength: 256, maxLength: 256 }).map((value) => {
      value[0]! |= 0x80;
      return value;
    }),
    caKeyIds: fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 40 }),
    notBeforeOffsetSeconds: fc.integer({ min: 0, max: 0xffff_ffff }),
    notAfterOffsetSeconds: fc.integer({ min: 0, max: 0xffff_fffe }),
    forbiddenPrincipals: fc.array(principal, { maxLength: 10 }),
  });
  fc.assert(
    fc.property(any, (value) => {
      expect(decodeSshTemplate(encodeSshTemplate(value))).toEqual(value);
    }),
  );
});

describe('what is not a template is refused', () => {
  test.each([
    ['cut anywhere', (index: number) => bytes.subarray(0, index)],
    ['with a byte behind it', (index: number) => Buffer.concat([bytes, Buffer.alloc(1 + (index % 3))])],
  ])('%s', (_, change) => {
    for (let index = 0; index < bytes.length - 13; index++) {
      expect(() => decodeSshTemplate(change(index))).toThrow(expect.objectContaining({ code: 'answer-malformed' }));
    }
  });

  test('any bytes: a template or a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (value) => {
        expectTypedError(() => decodeSshTemplate(value));
      }),
    );
  });

  test('a template with one byte changed: a template or a typed error', () => {
    const position = fc.integer({ min: 0, max: bytes.length - 1 });
    fc.assert(
      fc.property(position, fc.integer({ min: 0, max: 255 }), (at, value) => {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        expectTypedError(() => decodeSshTemplate(changed));
      }),
    );
  });
});

test.each([
  ['a modulus that is too short', { timestampModulus: modulus.subarray(1) }],
  ['a modulus whose first bit is not set', { timestampModulus: new Uint8Array(256) }],
  ['no CA key', { caKeyIds: [] }],
  ['no end of the validity', { notAfterOffsetSeconds: 0xffff_ffff }],
  ['an empty principal', { forbiddenPrincipals: [''] }],
  ['a principal with a NUL', { forbiddenPrincipals: ['ro\0ot'] }],
])('%s is never written into a template', (_, change) => {
  expect(() => encodeSshTemplate({ ...template, ...change })).toThrow(TypeError);
});

function expectTypedError(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(HsmError);
  }
}
