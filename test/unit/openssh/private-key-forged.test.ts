/** Private keys that someone tampered with: each is refused, and for the right reason. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeBase64 } from '#openssh/base64.ts';
import { readPrivateKeyFields, writePrivateKeyFields } from '#openssh/private-key-fields.ts';
import { parsePrivateKey, parseSoftwareKey } from '#openssh/private-key.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { WireReader, WireWriter } from '#openssh/wire.ts';
import { bytes, fromHex, sampleKeys, samplePrivateKey } from './samples.ts';

const failsWith = (code: string): unknown => expect.objectContaining({ name: 'FormatError', code });

function armored(blob: Uint8Array): Uint8Array {
  return bytes(`-----BEGIN OPENSSH PRIVATE KEY-----\n${encodeBase64(blob)}\n-----END OPENSSH PRIVATE KEY-----\n`);
}

describe('a forged OpenSSH file', () => {
  const key = samplePrivateKey('ssh-ed25519');
  const other = generateKeyPairSync('ed25519').privateKey;

  interface Parts {
    cipher: string;
    kdf: string;
    options: string;
    count: number;
    publicBlob: Uint8Array;
    checks: [number, number];
    padding: number[];
    end: Uint8Array;
  }
  function forged(changes: Partial<Parts>): Uint8Array {
    const parts: Parts = {
      cipher: 'none',
      kdf: 'none',
      options: '',
      count: 1,
      publicBlob: encodePublicKey(key.publicKey),
      checks: [7, 7],
      padding: [1, 2, 3, 4],
      end: new Uint8Array(),
      ...changes,
    };
    const body = new WireWriter().uint32(parts.checks[0]).uint32(parts.checks[1]);
    writePrivateKeyFields(key, body);
    body.string('c'.repeat(9));
    for (const byte of parts.padding) body.byte(byte);
    const writer = new WireWriter().raw(bytes('openssh-key-v1\0'));
    writer.string(parts.cipher).string(parts.kdf).string(parts.options).uint32(parts.count);
    return armored(writer.string(parts.publicBlob).string(body.finish()).raw(parts.end).finish());
  }

  test('is read when nothing is wrong', () => {
    expect(parsePrivateKey(forged({})).comment).toBe('ccccccccc');
  });

  test.each<[string, string, Partial<Parts>]>([
    ['two keys', 'bad-value', { count: 2 }],
    ['no key', 'bad-value', { count: 0 }],
    ['an unknown cipher', 'unsupported-algorithm', { cipher: 'rot13', kdf: 'bcrypt' }],
    ['an unknown KDF', 'unsupported-algorithm', { cipher: 'aes256-ctr', kdf: 'scrypt' }],
    ['a cipher without a KDF', 'unsupported-algorithm', { cipher: 'aes256-ctr' }],
    ['a KDF without a cipher', 'unsupported-algorithm', { kdf: 'bcrypt' }],
    ['options without a KDF', 'trailing-data', { options: 'x' }],
    ['check numbers that differ', 'bad-value', { checks: [7, 8] }],
    ['wrong padding', 'trailing-data', { padding: [1, 2, 3, 5] }],
    ['padding of a whole block', 'trailing-data', { padding: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }],
    ['no whole number of blocks', 'bad-value', { padding: [1, 2, 3] }],
    ['bytes at the end', 'trailing-data', { end: Uint8Array.of(0) }],
    ['another public key outside', 'bad-value', { publicBlob: encodePublicKey(sampleKeys['ssh-rsa'].publicKey) }],
  ])('is refused with %s', (_, code, changes) => {
    expect(() => parsePrivateKey(forged(changes))).toThrow(failsWith(code));
  });

  test('is refused when the halves of the key differ', () => {
    const seed = fromHex(Buffer.from(other.export({ format: 'jwk' }).d ?? '', 'base64url').toString('hex'));
    const wrong = new WireWriter().string('ssh-ed25519');
    const publicBytes = (key.publicKey as { key: Uint8Array }).key;
    wrong.string(publicBytes).string(Buffer.concat([seed, publicBytes]));
    expect(() => readPrivateKeyFields(new WireReader(wrong.finish()))).toThrow(failsWith('bad-value'));
  });

  test('is refused with armor headers', () => {
    const text = Buffer.from(forged({})).toString().replace('\n', '\nA: b\n\n');
    expect(() => parsePrivateKey(bytes(text))).toThrow(failsWith('bad-armor'));
  });
});

describe('keys whose parts do not belong together', () => {
  test('ECDSA with another scalar', () => {
    const { publicKey } = sampleKeys['ecdsa-sha2-nistp256'];
    const writer = new WireWriter()
      .string(publicKey.type)
      .string('nistp256')
      .string((publicKey as { point: Uint8Array }).point);
    for (const scalar of ['', '01', 'ff'.repeat(32), '01'.repeat(33)]) {
      const wire = new WireWriter().raw(writer.finish()).mpint(fromHex(scalar)).finish();
      expect(() => readPrivateKeyFields(new WireReader(wire))).toThrow(failsWith('bad-value'));
    }
  });

  test('RSA with any number changed', () => {
    const writer = new WireWriter();
    writePrivateKeyFields(samplePrivateKey('ssh-rsa'), writer);
    const reader = new WireReader(writer.finish());
    const [name, ...numbers] = [reader.text(), ...Array.from({ length: 6 }, () => reader.mpint())];
    for (const changed of numbers.keys()) {
      const wire = new WireWriter().string(name);
      for (const [index, number] of numbers.entries()) {
        const copy = number.slice();
        if (index === changed) copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 2;
        wire.mpint(copy);
      }
      expect(() => readPrivateKeyFields(new WireReader(wire.finish()))).toThrow(failsWith('bad-value'));
    }
  });

  test('RSA whose exponent fits one prime alone', () => {
    const { publicKey, privateKey } = sampleKeys['ssh-rsa'];
    const { d = '', p = '', q = '', qi = '' } = privateKey.export({ format: 'jwk' });
    const number = (text: string): bigint => BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`);
    const { modulus, exponent } = publicKey as { modulus: Uint8Array; exponent: Uint8Array };
    for (const prime of [p, q]) {
      const forged = (number(d) + number(prime) - 1n).toString(16).padStart(512, '0');
      const writer = new WireWriter().string('ssh-rsa').mpint(modulus).mpint(exponent).mpint(fromHex(forged));
      for (const text of [qi, p, q]) writer.mpint(Buffer.from(text, 'base64url'));
      expect(() => readPrivateKeyFields(new WireReader(writer.finish()))).toThrow(failsWith('bad-value'));
    }
  });

  test('PKCS#1 with a wrong CRT exponent: it does not come along', () => {
    const { publicKey, privateKey } = sampleKeys['ssh-rsa'];
    const der = privateKey.export({ format: 'der', type: 'pkcs1' });
    const dp = Buffer.from(privateKey.export({ format: 'jwk' }).dp ?? '', 'base64url');
    const at = der.indexOf(dp) + dp.length - 1;
    der[at] = (der[at] ?? 0) ^ 2;
    const read = parseSoftwareKey(new Uint8Array(der));
    expect(read.publicKey).toEqual(publicKey);
    expect(read.privateKey.equals(privateKey)).toBe(true);
    expect(read.privateKey.export({ format: 'jwk' }).dp).toBe(dp.toString('base64url'));
  });

  test('SEC1 whose public key is that of another', () => {
    const der = sampleKeys['ecdsa-sha2-nistp256'].privateKey.export({ format: 'der', type: 'sec1' });
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-65);
    const forgedDer = Buffer.concat([der.subarray(0, -65), point]);
    expect(() => parsePrivateKey(forgedDer)).toThrow(failsWith('bad-value'));
  });
});
