import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { keyTypes } from '#openssh/key-type.ts';
import { publicKeyFromObject } from '#openssh/public-key.ts';
import {
  type Signature,
  decodeSignature,
  encodeSignature,
  signWithKeyObject,
  verifySignature,
} from '#openssh/signature.ts';
import { WireWriter } from '#openssh/wire.ts';
import { bytes, sampleCa, sampleKeys, sampleTypes, signSample } from './samples.ts';

const failsWith = (code: string): unknown => expect.objectContaining({ name: 'FormatError', code });
const data = bytes('what is signed');
const cases = sampleTypes.flatMap((type) =>
  keyTypes[type].signatureAlgorithms.map((algorithm) => [type, algorithm] as const),
);

describe.each(cases)('%s with %s', (type, algorithm) => {
  const key = sampleKeys[type];
  const signature = signSample(key, data, algorithm);

  test('comes back from the wire and verifies', () => {
    const read = decodeSignature(type, encodeSignature(signature));
    expect(read).toEqual({ ...signature, blob: new Uint8Array(signature.blob) });
    expect(verifySignature(key.publicKey, data, read)).toBe(true);
  });

  test('is not valid for other data, another key, or with one bit changed', () => {
    const changed = new Uint8Array(signature.blob);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    expect(verifySignature(key.publicKey, bytes('other data'), signature)).toBe(false);
    expect(verifySignature(sampleCa.publicKey, data, signature)).toBe(false);
    expect(verifySignature(key.publicKey, data, { ...signature, blob: changed })).toBe(false);
    expect(verifySignature(key.publicKey, data, { ...signature, blob: new Uint8Array() })).toBe(false);
  });
});

describe('algorithms', () => {
  test('SHA-1 is refused, by its name', () => {
    const sha1 = new WireWriter().string('ssh-rsa').string(new Uint8Array(256)).finish();
    expect(() => decodeSignature('ssh-rsa', sha1)).toThrow(/SHA-1/);
    expect(() => decodeSignature('ssh-rsa', sha1)).toThrow(failsWith('unsupported-algorithm'));
  });

  test.each([
    ['ssh-ed25519', 'rsa-sha2-256'],
    ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384'],
    ['ssh-ed25519', 'sk-ssh-ed25519@openssh.com'],
    ['sk-ecdsa-sha2-nistp256@openssh.com', 'webauthn-sk-ecdsa-sha2-nistp256@openssh.com'],
    ['ssh-rsa', 'none'],
  ] as const)('a key of type %s makes no %s', (type, algorithm) => {
    const blob = new WireWriter().string(algorithm).string(new Uint8Array(64)).finish();
    expect(() => decodeSignature(type, blob)).toThrow(failsWith('unsupported-algorithm'));
  });

  test('a signature of the wrong algorithm is not valid, however it came here', () => {
    const ed25519 = signSample(sampleKeys['ssh-ed25519'], data);
    expect(verifySignature(sampleKeys['ssh-rsa'].publicKey, data, ed25519)).toBe(false);
  });

  test('RSA SHA-256 and SHA-512 are not taken for each other', () => {
    const key = sampleKeys['ssh-rsa'];
    const signature = signSample(key, data, 'rsa-sha2-256');
    expect(verifySignature(key.publicKey, data, { ...signature, algorithm: 'rsa-sha2-512' })).toBe(false);
  });
});

describe('lengths', () => {
  test('an RSA signature may lack its leading zeros, and may not be longer than the modulus', () => {
    const key = sampleKeys['ssh-rsa'];
    const short = findRsaSignatureWithLeadingZero();
    expect(
      verifySignature(key.publicKey, short.data, { algorithm: 'rsa-sha2-512', blob: short.blob.subarray(1) }),
    ).toBe(true);
    const long = new Uint8Array([0, ...short.blob]);
    expect(verifySignature(key.publicKey, short.data, { algorithm: 'rsa-sha2-512', blob: long })).toBe(false);
  });

  test.each([63, 65])('an Ed25519 signature of %i bytes is not valid', (length) => {
    const blob = new Uint8Array(length);
    blob.set(signSample(sampleKeys['ssh-ed25519'], data).blob.subarray(0, length));
    expect(verifySignature(sampleKeys['ssh-ed25519'].publicKey, data, { algorithm: 'ssh-ed25519', blob })).toBe(false);
  });

  test('ECDSA numbers that are zero, negative, padded or too long are not valid', () => {
    const { publicKey } = sampleKeys['ecdsa-sha2-nistp256'];
    const one = Uint8Array.of(1);
    const blobs = [
      new WireWriter().mpint(new Uint8Array()).mpint(new Uint8Array()).finish(),
      new WireWriter().string(Uint8Array.of(0x80)).mpint(one).finish(),
      new WireWriter().string(Uint8Array.of(0, 1)).mpint(one).finish(),
      new WireWriter().mpint(new Uint8Array(33).fill(1)).mpint(one).finish(),
      new WireWriter().mpint(one).finish(),
      new WireWriter().mpint(one).mpint(one).byte(0).finish(),
    ];
    for (const blob of blobs)
      expect(verifySignature(publicKey, data, { algorithm: 'ecdsa-sha2-nistp256', blob })).toBe(false);
  });

  test('a signature of more than 4 KiB is refused', () => {
    const blob = new WireWriter().string('ssh-ed25519').string(new Uint8Array(5000)).finish();
    expect(() => decodeSignature('ssh-ed25519', blob)).toThrow(failsWith('too-large'));
  });
});

function findRsaSignatureWithLeadingZero(): { data: Uint8Array; blob: Uint8Array } {
  for (let attempt = 0; ; attempt++) {
    const attemptData = bytes(`attempt ${attempt}`);
    const { blob } = signSample(sampleKeys['ssh-rsa'], attemptData);
    if (blob[0] === 0) return { data: attemptData, blob };
  }
}

describe.each(['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'] as const)('%s', (type) => {
  const key = sampleKeys[type];
  const withFlags = (flags: number): Signature => signSample(key, data, type, { flags, counter: 1 });

  test('needs a touch unless the caller says otherwise', () => {
    expect(verifySignature(key.publicKey, data, withFlags(0))).toBe(false);
    expect(verifySignature(key.publicKey, data, withFlags(0), { allowNoTouch: true })).toBe(true);
    expect(verifySignature(key.publicKey, data, withFlags(1))).toBe(true);
  });

  test('needs the user verified when the caller asks for it', () => {
    expect(verifySignature(key.publicKey, data, withFlags(1), { requireUserVerification: true })).toBe(false);
    expect(verifySignature(key.publicKey, data, withFlags(5), { requireUserVerification: true })).toBe(true);
  });

  test('flags, counter and application are signed', () => {
    const signature = withFlags(5);
    expect(verifySignature(key.publicKey, data, { ...signature, sk: { flags: 1, counter: 1 } })).toBe(false);
    expect(verifySignature(key.publicKey, data, { ...signature, sk: { flags: 5, counter: 2 } })).toBe(false);
    const elsewhere = { ...key.publicKey, application: 'ssh:elsewhere' };
    expect(verifySignature(elsewhere, data, signature)).toBe(false);
    expect(verifySignature(key.publicKey, data, { algorithm: signature.algorithm, blob: signature.blob })).toBe(false);
  });

  test('is signed by its device alone', () => {
    expect(() => signWithKeyObject(key.privateKey, type, data)).toThrow(TypeError);
  });
});

test('flags and counter are written for security keys alone', () => {
  const blob = new Uint8Array(64);
  expect(() => encodeSignature({ algorithm: 'sk-ssh-ed25519@openssh.com', blob })).toThrow(TypeError);
  expect(() => encodeSignature({ algorithm: 'ssh-ed25519', blob, sk: { flags: 1, counter: 1 } })).toThrow(TypeError);
});

test('RSA keys of odd sizes sign and verify', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1031 });
  const signature = signWithKeyObject(privateKey, 'rsa-sha2-512', data);
  expect(verifySignature(publicKeyFromObject(privateKey), data, signature)).toBe(true);
});
