import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeBase64 } from '#openssh/base64.ts';
import { fingerprintOf, parseFingerprint } from '#openssh/fingerprint.ts';
import {
  type PublicKey,
  decodePublicKey,
  encodePublicKey,
  formatPublicKeyLine,
  keyBits,
  parsePublicKeyLine,
  publicKeyFromObject,
  publicKeyObject,
} from '#openssh/public-key.ts';
import { WireWriter } from '#openssh/wire.ts';
import { fromHex, sampleKeys, sampleTypes, softwareTypes, vectorText } from './samples.ts';

const failsWith = (code: string): unknown => expect.objectContaining({ name: 'FormatError', code });

describe.each(sampleTypes)('%s', (type) => {
  const { publicKey } = sampleKeys[type];

  test('blob and line come back', () => {
    const blob = encodePublicKey(publicKey);
    expect(decodePublicKey(blob)).toEqual(publicKey);
    expect(parsePublicKeyLine(formatPublicKeyLine(publicKey, 'a comment'))).toEqual({
      key: publicKey,
      blob,
      comment: 'a comment',
    });
  });

  test('one byte too many is refused', () => {
    const blob = encodePublicKey(publicKey);
    expect(() => decodePublicKey(Buffer.concat([blob, Uint8Array.of(0)]))).toThrow(failsWith('trailing-data'));
  });
});

test.each(softwareTypes)('%s goes to node:crypto and back', (type) => {
  const { publicKey, privateKey } = sampleKeys[type];
  expect(publicKeyObject(publicKey).equals(createPublicKey(privateKey))).toBe(true);
  expect(publicKeyFromObject(publicKeyObject(publicKey))).toEqual(publicKey);
});

describe.each(['ed25519_1', 'ecdsa_1', 'rsa_1', 'ed25519_sk1', 'ecdsa_sk1'])('the vector %s', (name) => {
  const line = vectorText(`${name}.pub`);

  test('is read and written as it stands', () => {
    const { key, comment } = parsePublicKeyLine(line);
    expect(formatPublicKeyLine(key, comment)).toBe(line);
  });

  test('has the fingerprint that ssh-keygen prints', () => {
    const fingerprint = fingerprintOf(parsePublicKeyLine(line).blob);
    expect(fingerprint).toBe(vectorText(`${name}.fp`));
    expect(parseFingerprint(fingerprint)).toBe(fingerprint);
  });
});

test('key sizes are those of ssh-keygen -l', () => {
  const bits = sampleTypes.map((type) => keyBits(sampleKeys[type].publicKey));
  expect(bits).toEqual([256, 256, 384, 521, 2048, 256, 256]);
});

describe('refused on purpose', () => {
  test.each([
    'ssh-dss',
    'ssh-mldsa44-ed25519@openssh.com',
    'ssh-ed448',
    'ssh-ed25519-cert-v01@openssh.com',
    '__proto__',
  ])('the type %s', (type) => {
    const blob = new WireWriter().string(type).string(new Uint8Array(32)).finish();
    expect(() => decodePublicKey(blob)).toThrow(failsWith('unsupported-algorithm'));
    expect(() => parsePublicKeyLine(`${type} ${encodeBase64(blob)}`)).toThrow(failsWith('unsupported-algorithm'));
  });

  test('ML-DSA, by its name', () => {
    expect(() => parsePublicKeyLine(vectorText('mldsa44_ed25519_1.pub'))).toThrow(/ML-DSA/);
  });

  test.each([
    ['an Ed25519 key of 31 bytes', new WireWriter().string('ssh-ed25519').string(new Uint8Array(31))],
    ['an Ed25519 key of 33 bytes', new WireWriter().string('ssh-ed25519').string(new Uint8Array(33))],
    ['a compressed point', ecdsa('ecdsa-sha2-nistp256', 'nistp256', fromHex(`02${'11'.repeat(32)}`))],
    ['a hybrid point', ecdsa('ecdsa-sha2-nistp256', 'nistp256', fromHex(`06${'11'.repeat(64)}`))],
    ['the point at infinity', ecdsa('ecdsa-sha2-nistp256', 'nistp256', fromHex('00'))],
    ['the curve of another type', ecdsa('ecdsa-sha2-nistp256', 'nistp384', fromHex(`04${'11'.repeat(64)}`))],
    ['an even RSA exponent', rsa('010000', odd(256))],
    ['the RSA exponent 1', rsa('01', odd(256))],
    ['the RSA exponent 0', rsa('', odd(256))],
    ['an RSA exponent of 9 bytes', rsa('010000000000000001', odd(256))],
    ['an RSA modulus of 1,023 bits', rsa('010001', fromHex(`7f${'11'.repeat(127)}`))],
    ['an RSA modulus of 16,385 bits', rsa('010001', fromHex(`01${'11'.repeat(2048)}`))],
    ['an even RSA modulus', rsa('010001', fromHex('f0'.repeat(256)))],
  ])('%s', (_, writer) => {
    expect(() => decodePublicKey(writer.finish())).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(bad-value|too-large)$/) as unknown }),
    );
  });

  test('a point off its curve, when the key is to be used', () => {
    const key = decodePublicKey(ecdsa('ecdsa-sha2-nistp256', 'nistp256', fromHex(`04${'11'.repeat(64)}`)).finish());
    expect(() => publicKeyObject(key)).toThrow(failsWith('bad-value'));
  });

  test('node:crypto keys that SSH has no name for', () => {
    const foreign = [
      generateKeyPairSync('x25519').publicKey,
      generateKeyPairSync('ed448').publicKey,
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey,
      generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' }).publicKey,
      generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey,
      generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }).publicKey,
    ];
    for (const key of foreign) expect(() => publicKeyFromObject(key)).toThrow(failsWith('unsupported-algorithm'));
  });
});

function ecdsa(type: string, curve: string, point: Uint8Array): WireWriter {
  return new WireWriter().string(type).string(curve).string(point);
}

function rsa(exponentHex: string, modulus: Uint8Array): WireWriter {
  return new WireWriter().string('ssh-rsa').mpint(fromHex(exponentHex)).mpint(modulus);
}

function odd(length: number): Uint8Array {
  return new Uint8Array(length).fill(0xff);
}

describe('the line', () => {
  const key: PublicKey = sampleKeys['ssh-ed25519'].publicKey;
  const line = formatPublicKeyLine(key);

  test('has no space at its end without a comment', () => {
    expect(line).not.toMatch(/\s$/);
    expect(parsePublicKeyLine(`  ${line.replace(' ', ' \t ')}  \r\n`).comment).toBe('');
  });

  test.each([
    ['empty', ''],
    ['a type alone', 'ssh-ed25519'],
    ['options first', `no-pty ${line}`],
    ['another type in front', line.replace('ssh-ed25519', 'ssh-rsa')],
    ['two lines', `${line} a\n${line}`],
    ['base64 cut off', line.slice(0, -1)],
    ['a NUL in the comment', `${line} a\0`],
  ])('refuses %s', (_, text) => {
    expect(() => parsePublicKeyLine(text)).toThrow(expect.objectContaining({ name: 'FormatError' }));
  });

  test('a comment with a line break is not written', () => {
    expect(() => formatPublicKeyLine(key, 'a\nb')).toThrow(TypeError);
  });

  test('a comment of many spaces takes no time to speak of', () => {
    const comment = `a${' '.repeat(400_000)}b`;
    expect(parsePublicKeyLine(`${line} ${comment}`).comment).toBe(comment);
    expect(() => parsePublicKeyLine(`${line} ${' '.repeat(600_000)}`)).toThrow(failsWith('too-large'));
  });
});

describe('parseFingerprint', () => {
  test.each([
    'SHA256:',
    'MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48',
    `SHA256:${'A'.repeat(42)}`,
    `SHA256:${'A'.repeat(43)}=`,
    `SHA256:${'A'.repeat(42)}B`,
    `sha256:${'A'.repeat(43)}`,
    `SHA256:${'A'.repeat(43)}\n`,
  ])('refuses %j', (text) => {
    expect(() => parseFingerprint(text)).toThrow(expect.objectContaining({ name: 'FormatError' }));
  });
});
