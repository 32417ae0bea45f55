/**
 * SSH signatures: `string algorithm, string blob` (RFC 4253 section 6.6, RFC 5656 section 3.1.2, RFC 8332, RFC 8709 section 6;
 * security keys: OpenSSH PROTOCOL.u2f). Encode, decode, verify, and the software way to sign.
 * Refused on purpose: SHA-1 (`ssh-rsa`), algorithms that do not fit the key, security-key signatures without user presence
 * unless the caller allows it.
 */
import { type KeyObject, hash, sign as cryptoSign, verify as cryptoVerify } from 'node:crypto';
import { FormatError } from './format-error.ts';
import {
  type KeyType,
  MAX_ALGORITHM_NAME_LENGTH,
  type SignatureAlgorithm,
  keyTypes,
  signatureAlgorithmNamed,
} from './key-type.ts';
import { type PublicKey, curves, publicKeyObject } from './public-key.ts';
import { MAX_MPINT_LENGTH, WireReader, WireWriter } from './wire.ts';

/** RSA of 16,384 bits has 2 KiB; security keys add 5 bytes. */
export const MAX_SIGNATURE_LENGTH = 4 * 1024;

const SK_USER_PRESENT = 0x01;
const SK_USER_VERIFIED = 0x04;

export interface Signature {
  readonly algorithm: SignatureAlgorithm;
  /** Raw: 64 bytes Ed25519, r and s as mpints for ECDSA, PKCS#1 v1.5 for RSA; without the algorithm name. */
  readonly blob: Uint8Array;
  /** Only of a security key. */
  readonly sk?: { readonly flags: number; readonly counter: number };
}

/** What a policy may ask of a security-key signature; presence is required unless `allowNoTouch`. */
export interface VerifyOptions {
  readonly allowNoTouch?: boolean;
  readonly requireUserVerification?: boolean;
}

/** @throws FormatError, also when the algorithm is not one that keys of `type` make */
export function decodeSignature(type: KeyType, bytes: Uint8Array): Signature {
  if (bytes.length > MAX_SIGNATURE_LENGTH) throw new FormatError('too-large', 'the signature is longer than 4 KiB');
  const reader = new WireReader(bytes);
  const algorithm = signatureAlgorithmNamed(type, reader.text(MAX_ALGORITHM_NAME_LENGTH));
  const blob = reader.string(MAX_SIGNATURE_LENGTH);
  const isSk = algorithm.startsWith('sk-');
  const signature = isSk
    ? { algorithm, blob, sk: { flags: reader.byte(), counter: reader.uint32() } }
    : { algorithm, blob };
  reader.end();
  return signature;
}

/** @throws TypeError for a security-key signature without flags and counter, or another one with them */
export function encodeSignature(signature: Signature): Uint8Array {
  const writer = new WireWriter();
  writeSignature(signature, writer);
  return writer.finish();
}

/** As {@link encodeSignature}, inside of something larger. */
export function writeSignature(signature: Signature, writer: WireWriter): void {
  if (signature.algorithm.startsWith('sk-') !== (signature.sk !== undefined))
    throw new TypeError('flags and counter belong to security-key signatures, and to them alone');
  writer.string(signature.algorithm).string(signature.blob);
  if (signature.sk !== undefined) writer.byte(signature.sk.flags).uint32(signature.sk.counter);
}

/** True only if `signature` is a valid one of `key` over `data`. @throws FormatError when the key itself is invalid */
export function verifySignature(
  key: PublicKey,
  data: Uint8Array,
  signature: Signature,
  options: VerifyOptions = {},
): boolean {
  return verifyWithObject(key, publicKeyObject(key), data, signature, options);
}

/** As `verifySignature`, with the `KeyObject` of the key at hand, for callers that verify often with one key. */
export function verifyWithObject(
  key: PublicKey,
  object: KeyObject,
  data: Uint8Array,
  signature: Signature,
  options: VerifyOptions = {},
): boolean {
  if (!keyTypes[key.type].signatureAlgorithms.includes(signature.algorithm)) return false;
  switch (key.type) {
    case 'ssh-ed25519':
      return signature.blob.length === 64 && cryptoVerify(null, data, object, signature.blob);
    case 'ssh-rsa':
      return verifyRsa(object, data, signature, key.modulus.length);
    case 'sk-ssh-ed25519@openssh.com':
    case 'sk-ecdsa-sha2-nistp256@openssh.com':
      return verifySk(key, object, data, signature, options);
    default:
      return verifyEcdsa(key.type, object, data, signature.blob);
  }
}

function verifyRsa(object: KeyObject, data: Uint8Array, signature: Signature, modulusLength: number): boolean {
  if (signature.blob.length > modulusLength) return false;
  // RFC 8332 section 3: a signature may come without its leading zeros; node:crypto wants the full length.
  const padded = new Uint8Array(modulusLength);
  padded.set(signature.blob, modulusLength - signature.blob.length);
  return cryptoVerify(digestOf(signature.algorithm), data, object, padded);
}

function verifyEcdsa(type: keyof typeof curves, object: KeyObject, data: Uint8Array, blob: Uint8Array): boolean {
  const { coordinateLength } = curves[type];
  const fixed = fixedEcdsa(blob, coordinateLength);
  return fixed !== undefined && cryptoVerify(digestOf(type), data, { key: object, dsaEncoding: 'ieee-p1363' }, fixed);
}

/** PROTOCOL.u2f, "SSH U2F Signatures": the key signs SHA256(application), flags, counter, SHA256(data). */
function verifySk(
  key: Extract<PublicKey, { application: string }>,
  object: KeyObject,
  data: Uint8Array,
  signature: Signature,
  options: VerifyOptions,
): boolean {
  if (signature.sk === undefined) return false;
  const { flags, counter } = signature.sk;
  if ((flags & SK_USER_PRESENT) === 0 && options.allowNoTouch !== true) return false;
  if ((flags & SK_USER_VERIFIED) === 0 && options.requireUserVerification === true) return false;
  const signed = new WireWriter(69)
    .raw(hash('sha256', Buffer.from(key.application), 'buffer'))
    .byte(flags)
    .uint32(counter)
    .raw(hash('sha256', data, 'buffer'))
    .finish();
  if (key.type === 'sk-ssh-ed25519@openssh.com') {
    return signature.blob.length === 64 && cryptoVerify(null, signed, object, signature.blob);
  }
  return verifyEcdsa('ecdsa-sha2-nistp256', object, signed, signature.blob);
}

/** r and s as mpints to two numbers of fixed length; undefined when they are malformed or too long. */
function fixedEcdsa(blob: Uint8Array, coordinateLength: number): Uint8Array | undefined {
  try {
    const reader = new WireReader(blob);
    const [r, s] = [reader.mpint(MAX_MPINT_LENGTH), reader.mpint(MAX_MPINT_LENGTH)];
    reader.end();
    if (r.length > coordinateLength || s.length > coordinateLength) return undefined;
    const fixed = new Uint8Array(2 * coordinateLength);
    fixed.set(r, coordinateLength - r.length);
    fixed.set(s, 2 * coordinateLength - s.length);
    return fixed;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** r and s of fixed length (IEEE P1363) as the SSH blob (RFC 5656 section 3.1.2). */
export function ecdsaBlobFromFixed(fixed: Uint8Array): Uint8Array {
  const half = fixed.length / 2;
  return new WireWriter(fixed.length + 16).mpint(fixed.subarray(0, half)).mpint(fixed.subarray(half)).finish();
}

/** The digest of a signature algorithm for node:crypto; null for Ed25519, which hashes by itself. */
export function digestOf(algorithm: SignatureAlgorithm): 'sha256' | 'sha384' | 'sha512' | null {
  switch (algorithm) {
    case 'ssh-ed25519':
    case 'sk-ssh-ed25519@openssh.com':
      return null;
    case 'ecdsa-sha2-nistp384':
      return 'sha384';
    case 'ecdsa-sha2-nistp521':
    case 'rsa-sha2-512':
      return 'sha512';
    default:
      return 'sha256';
  }
}

/** Signs with a private key in this process. @throws TypeError for a security-key algorithm, which only the device can make */
export function signWithKeyObject(privateKey: KeyObject, algorithm: SignatureAlgorithm, data: Uint8Array): Signature {
  if (algorithm.startsWith('sk-')) throw new TypeError('a security key signs by itself');
  const digest = digestOf(algorithm);
  if (!algorithm.startsWith('ecdsa-')) return { algorithm, blob: cryptoSign(digest, data, privateKey) };
  const fixed = cryptoSign(digest, data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return { algorithm, blob: ecdsaBlobFromFixed(fixed) };
}
