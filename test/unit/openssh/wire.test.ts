import { array, assert, bigInt, constant, nat, oneof, property, record, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '#openssh/format-error.ts';
import { WireReader, WireWriter, decodeText, encodeText, equalBytes } from '#openssh/wire.ts';
import { bytes, fromHex } from './samples.ts';

const failsWith = (code: string): unknown => expect.objectContaining({ name: 'FormatError', code });

describe('the reader at its exact end', () => {
  const readers = {
    byte: { length: 1, read: (reader: WireReader) => reader.byte() },
    uint32: { length: 4, read: (reader: WireReader) => reader.uint32() },
    uint64: { length: 8, read: (reader: WireReader) => reader.uint64() },
    raw: { length: 5, read: (reader: WireReader) => reader.raw(5) },
  };
  for (const [name, { length, read }] of Object.entries(readers)) {
    test(`${name} takes the last byte and no more`, () => {
      const reader = new WireReader(new Uint8Array(length).fill(1));
      read(reader);
      reader.end();
      expect(reader.remaining).toBe(0);
      for (let short = 0; short < length; short++) {
        expect(() => read(new WireReader(new Uint8Array(short)))).toThrow(failsWith('truncated'));
      }
    });
  }

  test('a string may end where the input ends, and not one byte later', () => {
    expect(new WireReader(fromHex('00000002 6162')).string()).toEqual(bytes('ab'));
    expect(() => new WireReader(fromHex('00000003 6162')).string()).toThrow(failsWith('truncated'));
    expect(() => new WireReader(fromHex('000000')).string()).toThrow(failsWith('truncated'));
  });

  test('an empty string at the very end is a string', () => {
    const reader = new WireReader(fromHex('00000000'));
    expect(reader.string()).toEqual(new Uint8Array());
    reader.end();
  });

  test('end() finds one byte left over', () => {
    const reader = new WireReader(fromHex('00 01'));
    reader.byte();
    expect(() => {
      reader.end();
    }).toThrow(failsWith('trailing-data'));
  });

  test('a reader over a window sees nothing outside it', () => {
    const window = fromHex('ff 00000001 61 ff').subarray(1, 6);
    const reader = new WireReader(window);
    expect(reader.string()).toEqual(bytes('a'));
    expect(() => reader.byte()).toThrow(failsWith('truncated'));
  });
});

describe('bounds', () => {
  test('the bound counts, and is inclusive', () => {
    expect(new WireReader(fromHex('00000002 6162')).string(2)).toHaveLength(2);
    expect(() => new WireReader(fromHex('00000002 6162')).string(1)).toThrow(failsWith('too-large'));
  });

  test('a huge length is refused before anything is looked at', () => {
    expect(() => new WireReader(fromHex('ffffffff')).string()).toThrow(failsWith('too-large'));
    expect(() => new WireReader(fromHex('03ffffff')).string()).toThrow(failsWith('truncated'));
  });

  test('a fixed string has exactly its length', () => {
    expect(new WireReader(fromHex('00000002 6162')).fixed(2)).toEqual(bytes('ab'));
    expect(() => new WireReader(fromHex('00000001 61')).fixed(2)).toThrow(failsWith('bad-value'));
    expect(() => new WireReader(fromHex('00000003 616263')).fixed(2)).toThrow(failsWith('too-large'));
  });
});

// RFC 4251 section 5, the examples there.
describe('mpint', () => {
  test.each([
    ['00000000', ''],
    ['00000008 09a378f9b2e332a7', '09a378f9b2e332a7'],
    ['00000002 0080', '80'],
  ])('%s is the magnitude %s', (wire, magnitude) => {
    expect(new WireReader(fromHex(wire)).mpint()).toEqual(fromHex(magnitude));
    expect(new WireWriter().mpint(fromHex(magnitude)).finish()).toEqual(fromHex(wire));
  });

  test.each([
    ['negative', '00000002 edcc'],
    ['negative, longer', '00000005 ff21524111'],
    ['the smallest negative', '00000001 80'],
    ['zero with a byte', '00000001 00'],
    ['a zero too many', '00000002 007f'],
    ['two zeros', '00000003 000080'],
  ])('refuses what is %s', (_, wire) => {
    expect(() => new WireReader(fromHex(wire)).mpint()).toThrow(failsWith('bad-value'));
  });

  test('the writer drops leading zeros', () => {
    expect(new WireWriter().mpint(fromHex('0000007f')).finish()).toEqual(fromHex('00000001 7f'));
  });
});

describe('text', () => {
  test('is UTF-8 without NUL, and a byte order mark stays', () => {
    expect(decodeText(bytes('grüß\uFEFF'))).toBe('grüß\uFEFF');
    expect(() => decodeText(fromHex('61ff'))).toThrow(failsWith('bad-value'));
    expect(() => decodeText(fromHex('c080'))).toThrow(failsWith('bad-value'));
    expect(() => decodeText(fromHex('6100'))).toThrow(failsWith('bad-value'));
  });

  test('is not written when it could not be read', () => {
    expect(() => encodeText('a\0b')).toThrow(TypeError);
    expect(() => encodeText('\uD800')).toThrow(TypeError);
    expect(() => new WireWriter().string('a\0b')).toThrow(TypeError);
    expect(() => new WireWriter().string('\uD800')).toThrow(TypeError);
  });

  test('has the length of its bytes, not of its characters', () => {
    expect(new WireWriter(1).string('grüß€😀').finish()).toEqual(fromHex('0000000d 6772c3bcc39fe282acf09f9880'));
  });
});

describe('the writer', () => {
  test.each([1, 512])('nests strings of whatever is written, with room for %i bytes at first', (capacity) => {
    const writer = new WireWriter(capacity).nested((outer) => outer.byte(7).nested((inner) => inner.string('ab')));
    expect(writer.nested(() => undefined).finish()).toEqual(fromHex('0000000b 07 00000006 00000002 6162 00000000'));
  });

  test('gives bytes that stand alone', () => {
    const finished = new WireWriter().string('ab').finish();
    expect(finished.buffer.byteLength).toBe(finished.length);
    expect(finished.constructor).toBe(Uint8Array);
  });

  test('refuses numbers out of range', () => {
    expect(() => new WireWriter().byte(256)).toThrow(TypeError);
    expect(() => new WireWriter().byte(-1)).toThrow(TypeError);
    expect(() => new WireWriter().uint32(2 ** 32)).toThrow(TypeError);
    expect(() => new WireWriter().uint32(0.5)).toThrow(TypeError);
    expect(() => new WireWriter().uint64(2n ** 64n)).toThrow(TypeError);
    expect(() => new WireWriter().uint64(-1n)).toThrow(TypeError);
  });

  test('grows from any capacity, and what is finished stays as it is', () => {
    const writer = new WireWriter(0).byte(1);
    const first = writer.finish();
    writer.raw(new Uint8Array(10_000).fill(2));
    expect(first).toEqual(Uint8Array.of(1));
    expect(writer.length).toBe(10_001);
    expect(writer.finish()).toHaveLength(10_001);
  });
});

test('a reader over a Buffer hands out plain arrays, whose slice copies', () => {
  const input = Buffer.from(fromHex('00000002 6162'));
  const text = new WireReader(input).string();
  const copy = text.slice();
  input.fill(0);
  expect(Buffer.isBuffer(text)).toBe(false);
  expect(copy).toEqual(bytes('ab'));
});

test('whatever is written is read back', () => {
  const field = oneof(
    record({ kind: constant('byte' as const), value: nat({ max: 255 }) }),
    record({ kind: constant('uint32' as const), value: nat({ max: 0xffff_ffff }) }),
    record({ kind: constant('uint64' as const), value: bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
    record({ kind: constant('string' as const), value: uint8Array({ maxLength: 40 }) }),
  );
  assert(
    property(array(field), (fields) => {
      const writer = new WireWriter(1);
      for (const { kind, value } of fields) (writer[kind] as (value: unknown) => void)(value);
      const reader = new WireReader(writer.finish());
      for (const { kind, value } of fields) expect(reader[kind]()).toEqual(value);
      reader.end();
    }),
  );
});

test('a writer that is disposed leaves nothing in the memory it shared', () => {
  const secret = crypto.getRandomValues(new Uint8Array(32)); // not in the pool itself
  const pool = Buffer.from(Buffer.allocUnsafe(1).buffer);
  const grow = () => {
    using writer = new WireWriter(40);
    writer.raw(secret).raw(secret);
    expect(writer.finish()).toEqual(new Uint8Array([...secret, ...secret]));
  };
  grow();
  expect(pool.includes(secret)).toBe(false);
  expect(Buffer.from(Buffer.allocUnsafe(1).buffer).includes(secret)).toBe(false);
});

test('equalBytes compares lengths and bytes', () => {
  expect(equalBytes(bytes('ab'), Buffer.from('ab'))).toBe(true);
  expect(equalBytes(bytes('ab'), bytes('abc'))).toBe(false);
  expect(equalBytes(bytes('ab'), bytes('ac'))).toBe(false);
});

test('the error carries its code and is an Error', () => {
  const error = new FormatError('truncated', 'text', { cause: 1 });
  expect(error).toBeInstanceOf(Error);
  expect([error.code, error.name, error.cause]).toEqual(['truncated', 'FormatError', 1]);
});
