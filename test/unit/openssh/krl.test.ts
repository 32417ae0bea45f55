import { hash } from 'node:crypto';
import { array, assert, bigInt, boolean, nat, oneof, property, record, string, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findRevocation, isRevoked } from '#openssh/krl-check.ts';
import { type Krl, type KrlContents, createKrl, decodeKrl, encodeKrl } from '#openssh/krl.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { type SerialRange, SerialSet } from '#openssh/serial-set.ts';
import { WireReader, WireWriter } from '#openssh/wire.ts';
import { bytes, fromHex, sampleCa, sampleCertificate, sampleKeys } from './samples.ts';

const failsWith = (code: string): unknown => expect.objectContaining({ name: 'FormatError', code });
const ca = encodePublicKey(sampleCa.publicKey);
const keyBlob = encodePublicKey(sampleKeys['ssh-ed25519'].publicKey);
const otherBlob = encodePublicKey(sampleKeys['ssh-rsa'].publicKey);
const header = { number: 7n, generatedDate: 1_700_000_000n };

function krlOf(contents: Partial<KrlContents>): Krl {
  return createKrl({ ...header, ...contents });
}

function hasBoth(krl: Krl, first: bigint, last: bigint): boolean {
  return krl.certificates.some(({ serials }) => serials.has(first) && serials.has(last));
}

/** Type and data of each section of serials that we write. */
function serialSections(serials: Iterable<bigint | SerialRange>): [number, Uint8Array][] {
  const reader = new WireReader(encodeKrl(krlOf({ certificates: [{ serials: SerialSet.of(serials) }] })));
  reader.raw(36);
  reader.string();
  reader.string();
  const sections: [number, Uint8Array][] = [];
  while (reader.remaining > 0) {
    reader.byte();
    const section = reader.nested();
    section.string();
    section.string();
    while (section.remaining > 0) sections.push([section.byte(), section.string()]);
  }
  return sections;
}

test('an empty KRL is its header', () => {
  const hex = `5353484b524c0a00 00000001 0000000000000007 000000006553f100 ${'00'.repeat(8)} 00000000 00000003 616263`;
  expect(encodeKrl(krlOf({ comment: 'abc' }))).toEqual(fromHex(hex));
  expect(decodeKrl(fromHex(hex))).toMatchObject({ ...header, comment: 'abc', certificates: [], keys: [] });
});

describe('serials go into the smallest section', () => {
  test('a few far apart: a list', () => {
    expect(serialSections([1n, 1n << 40n, 2n ** 64n - 1n])).toEqual([
      [0x20, fromHex('0000000000000001 0000010000000000 ffffffffffffffff')],
    ]);
  });

  test('a long run: a range', () => {
    expect(serialSections([{ first: 5n, last: 2n ** 40n }])).toEqual([
      [0x21, fromHex('0000000000000005 0000010000000000')],
    ]);
  });

  test('many close together: a bitmap', () => {
    expect(serialSections([1n, 3n, 5n, 8n, 9n])).toEqual([[0x22, fromHex('0000000000000001 00000002 0195')]]);
  });

  test('a bitmap whose highest bit is that of its byte gets a zero in front', () => {
    expect(serialSections([1n, 3n, 5n, 8n])).toEqual([[0x22, fromHex('0000000000000001 00000002 0095')]]);
  });

  // Without this, OpenSSH cannot read the KRL ("bignum is too large"), and sshd refuses every key.
  test('no bitmap is longer than OpenSSH reads, and none is shorter than it could be', () => {
    const odd = Array.from({ length: 20_000 }, (_, index) => BigInt(2 * index + 1));
    const sections = serialSections(odd);
    expect(sections.map(([type]) => type)).toEqual([0x22, 0x22, 0x22]);
    const lengths = sections.map(([, data]) => new WireReader(data.subarray(8)).mpint().length);
    expect(lengths).toEqual([2048, 2048, 904]);
  });

  test('nothing is lost at the edge of a bitmap', () => {
    for (const last of [16_383n, 16_384n, 16_385n, 16_386n]) {
      const serials = SerialSet.of([
        ...Array.from({ length: 8190 }, (_, index) => BigInt(2 * index + 1)),
        last,
        16_390n,
      ]);
      const back = decodeKrl(encodeKrl(krlOf({ certificates: [{ serials }] })));
      expect(back.certificates[0]?.serials.rangeCount).toBe(serials.rangeCount);
      expect([...serials].every(({ first, last: end }) => hasBoth(back, first, end))).toBe(true);
    }
  });
});

test('whatever is put in comes back, and is written again to the same bytes', () => {
  const serial = oneof(bigInt({ min: 1n, max: 300n }), bigInt({ min: 1n, max: 2n ** 64n - 1n }));
  const range = record({ first: serial, length: nat({ max: 400 }) }).map(({ first, length }) => {
    const last = first + BigInt(length);
    return { first, last: last < 2n ** 64n ? last : first };
  });
  const certificates = record({ serials: array(oneof(serial, range)), keyIds: array(string()), isForCa: boolean() });
  const contents = record({
    number: bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    generatedDate: bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    certificates,
    sha1Fingerprints: array(uint8Array({ minLength: 20, maxLength: 20 })),
    sha256Fingerprints: array(uint8Array({ minLength: 32, maxLength: 32 })),
  });
  assert(
    property(contents, (drawn) => {
      const { serials, keyIds, isForCa } = drawn.certificates;
      const readable = keyIds.filter((id) => !id.includes('\0') && id.isWellFormed());
      const krl = createKrl({
        ...drawn,
        certificates: [{ ...(isForCa ? { ca } : {}), serials: SerialSet.of(serials), keyIds: readable }],
        keys: [otherBlob, keyBlob, otherBlob],
      });
      const encoded = encodeKrl(krl);
      const back = decodeKrl(encoded);
      expect(encodeKrl(back)).toEqual(encoded);
      const { serials: read = SerialSet.of([]), keyIds: readIds = [] } = back.certificates[0] ?? {};
      expect([...read]).toEqual([...SerialSet.of(serials)]);
      expect(new Set(readIds)).toEqual(new Set(readable));
      expect(back.sha1Fingerprints).toEqual(krl.sha1Fingerprints);
      expect(back.sha256Fingerprints).toEqual(krl.sha256Fingerprints);
      expect(back.keys).toHaveLength(2);
    }),
  );
});

describe('who is revoked', () => {
  const certificate = sampleCertificate();
  const { key } = certificate;
  const fingerprints = { sha1: hash('sha1', keyBlob, 'buffer'), sha256: hash('sha256', keyBlob, 'buffer') };

  test.each<[string, Partial<KrlContents>, string | undefined]>([
    ['nothing', {}, undefined],
    ['the key', { keys: [otherBlob, keyBlob] }, 'key'],
    ['the SHA-1 of the key', { sha1Fingerprints: [fingerprints.sha1] }, 'fingerprint'],
    ['the SHA-256 of the key', { sha256Fingerprints: [fingerprints.sha256] }, 'fingerprint'],
    ['another key', { keys: [otherBlob] }, undefined],
    ['the serial under its CA', { certificates: [{ ca, serials: SerialSet.of([42n]) }] }, 'serial'],
    ['the serial under any CA', { certificates: [{ serials: SerialSet.of([42n]) }] }, 'serial'],
    ['the serial under another CA', { certificates: [{ ca: otherBlob, serials: SerialSet.of([42n]) }] }, undefined],
    ['another serial', { certificates: [{ ca, serials: SerialSet.of([41n, 43n]) }] }, undefined],
    ['the key ID under its CA', { certificates: [{ ca, keyIds: ['alice@example.com'] }] }, 'key-id'],
    ['the key ID under any CA', { certificates: [{ keyIds: ['alice@example.com'] }] }, 'key-id'],
    ['the key ID under another CA', { certificates: [{ ca: otherBlob, keyIds: ['alice@example.com'] }] }, undefined],
    ['the CA', { keys: [ca] }, 'ca'],
    ['the CA by its fingerprint', { sha256Fingerprints: [hash('sha256', ca, 'buffer')] }, 'ca'],
  ])('a certificate, by a KRL of %s', (_, contents, expected) => {
    for (const krl of [krlOf(contents), decodeKrl(encodeKrl(krlOf(contents)))]) {
      expect(findRevocation(krl, certificate)).toBe(expected);
      expect(isRevoked(krl, certificate)).toBe(expected !== undefined);
    }
  });

  test('a plain key, by its blob and fingerprints alone', () => {
    expect(findRevocation(krlOf({ keys: [keyBlob] }), key)).toBe('key');
    expect(findRevocation(krlOf({ sha1Fingerprints: [fingerprints.sha1] }), key)).toBe('fingerprint');
    expect(findRevocation(krlOf({ certificates: [{ serials: SerialSet.of([42n]) }] }), key)).toBeUndefined();
  });

  test('serial 0 is nobody', () => {
    const krl = krlOf({ certificates: [{ serials: SerialSet.of([{ first: 1n, last: 2n ** 64n - 1n }]) }] });
    expect(isRevoked(krl, { ...certificate, serial: 0n })).toBe(false);
    expect(isRevoked(krl, { ...certificate, serial: 2n ** 64n - 1n })).toBe(true);
  });

  test('is found among many', () => {
    const many = Array.from({ length: 100 }, (_, index) => hash('sha256', bytes(`${index}`), 'buffer'));
    expect(isRevoked(krlOf({ sha256Fingerprints: [...many, fingerprints.sha256] }), key)).toBe(true);
    expect(isRevoked(krlOf({ sha256Fingerprints: many }), key)).toBe(false);
  });
});

describe('never made', () => {
  test.each<[string, Partial<KrlContents>]>([
    ['a certificate for a key', { keys: [sampleCertificate().blob] }],
    ['something that is no key', { keys: [new Uint8Array(3)] }],
    ['a SHA-1 of 21 bytes', { sha1Fingerprints: [new Uint8Array(21)] }],
    ['a SHA-256 of 20 bytes', { sha256Fingerprints: [new Uint8Array(20)] }],
    ['two entries for a CA', { certificates: [{ ca }, { ca: ca.slice() }] }],
    ['two entries for any CA', { certificates: [{ keyIds: ['a'] }, { keyIds: ['b'] }] }],
  ])('%s', (_, contents) => {
    expect(() => krlOf(contents)).toThrow(TypeError);
  });
});

describe('decoding', () => {
  const start = encodeKrl(krlOf({}));
  const section = (type: number, data: Uint8Array): Uint8Array =>
    new WireWriter().raw(start).byte(type).string(data).finish();
  const inCertificates = (type: number, data: Uint8Array): Uint8Array =>
    section(1, new WireWriter().string('').string('').byte(type).string(data).finish());
  const extension = (isCritical: number): Uint8Array =>
    new WireWriter().string('name@example.com').byte(isCritical).string('data').finish();
  const uint64s = (...numbers: bigint[]): Uint8Array => {
    const writer = new WireWriter();
    for (const number of numbers) writer.uint64(number);
    return writer.finish();
  };

  test('skips extensions that are not critical', () => {
    expect(decodeKrl(section(255, extension(0))).keys).toEqual([]);
    expect(decodeKrl(inCertificates(0x39, extension(0))).certificates[0]?.serials.rangeCount).toBe(0);
  });

  test('joins sections for one CA, wherever they stand', () => {
    const of = (serial: bigint): Uint8Array =>
      new WireWriter().string(ca).string('').byte(0x20).string(uint64s(serial)).finish();
    const krl = decodeKrl(
      new WireWriter()
        .raw(section(1, of(9n)))
        .byte(1)
        .string(of(3n))
        .finish(),
    );
    expect(krl.certificates).toHaveLength(1);
    expect([...(krl.certificates[0]?.serials ?? [])].map(({ first }) => first)).toEqual([3n, 9n]);
  });

  test('takes hashes in any order', () => {
    const hashes = new WireWriter().string(new Uint8Array(20).fill(2)).string(new Uint8Array(20).fill(1)).finish();
    expect(decodeKrl(section(3, hashes)).sha1Fingerprints.map(([first]) => first)).toEqual([1, 2]);
  });

  test.each<[string, string, Uint8Array]>([
    ['another magic', 'bad-value', bytes('SSHKRM\n\0')],
    ['format version 2', 'bad-value', fromHex('5353484b524c0a00 00000002')],
    ['a critical extension', 'unsupported-feature', section(255, extension(1))],
    ['a critical extension in certificates', 'unsupported-feature', inCertificates(0x39, extension(2))],
    [
      'an extension with more in it',
      'trailing-data',
      section(255, new WireWriter().raw(extension(0)).byte(0).finish()),
    ],
    ['a signature', 'unsupported-feature', section(4, ca)],
    ['an unknown section', 'unsupported-feature', section(6, ca)],
    ['an unknown certificate section', 'unsupported-feature', inCertificates(0x24, new Uint8Array())],
    ['serial 0 in a list', 'bad-value', inCertificates(0x20, uint64s(1n, 0n))],
    ['half a serial', 'truncated', inCertificates(0x20, new Uint8Array(7))],
    ['serial 0 in a range', 'bad-value', inCertificates(0x21, uint64s(0n, 4n))],
    ['a range backwards', 'bad-value', inCertificates(0x21, uint64s(5n, 4n))],
    ['three serials for a range', 'trailing-data', inCertificates(0x21, uint64s(1n, 4n, 5n))],
    [
      'serial 0 in a bitmap',
      'bad-value',
      inCertificates(0x22, new WireWriter().uint64(0n).mpint(Uint8Array.of(1)).finish()),
    ],
    [
      'a bitmap over the last serial',
      'bad-value',
      inCertificates(
        0x22,
        new WireWriter()
          .uint64(2n ** 64n - 1n)
          .mpint(Uint8Array.of(3))
          .finish(),
      ),
    ],
    [
      'a bitmap longer than OpenSSH reads',
      'too-large',
      inCertificates(0x22, new WireWriter().uint64(1n).mpint(new Uint8Array(2050).fill(1)).finish()),
    ],
    ['a SHA-1 of 19 bytes', 'bad-value', section(3, new WireWriter().string(new Uint8Array(19)).finish())],
    ['a SHA-256 of 33 bytes', 'too-large', section(5, new WireWriter().string(new Uint8Array(33)).finish())],
    ['a section cut off', 'truncated', section(2, ca).subarray(0, -1)],
  ])('refuses %s', (_, code, blob) => {
    expect(() => decodeKrl(blob)).toThrow(failsWith(code));
  });

  test('takes a bitmap that starts at 0 without bit 0', () => {
    const krl = decodeKrl(inCertificates(0x22, new WireWriter().uint64(0n).mpint(Uint8Array.of(0b110)).finish()));
    expect([...(krl.certificates[0]?.serials ?? [])]).toEqual([{ first: 1n, last: 2n }]);
  });

  test('holds no more ranges than its bound, whatever the file asks for', () => {
    const bitmap = new WireWriter().uint64(1n).mpint(new Uint8Array(2047).fill(0x55)).finish();
    const entries = new WireWriter().string('').string('');
    for (let count = 0; count < 520; count++) entries.byte(0x22).string(bitmap);
    expect(() => decodeKrl(section(1, entries.finish()))).toThrow(failsWith('bad-value'));
  });

  test('holds no more entries and CAs than its bounds', () => {
    const ids = new Uint8Array(4 * (256 * 1024 + 1));
    expect(() => decodeKrl(inCertificates(0x23, ids))).toThrow(failsWith('too-large'));
    const sections = new WireWriter().raw(start);
    for (let index = 0; index < 1025; index++) {
      sections.byte(1).string(
        new WireWriter(16)
          .string(Uint8Array.of(1, index, index >> 8))
          .string('')
          .finish(),
      );
    }
    expect(() => decodeKrl(sections.finish())).toThrow(failsWith('too-large'));
  });
});
