/**
 * Private keys as node:crypto holds them, made from their numbers and checked: the public half must belong to the private
 * half, and the parts of an RSA key to each other, so that a damaged or forged file cannot make signatures that give a key away.
 */
import { type KeyObject, createECDH, createPrivateKey } from 'node:crypto';
import { decodeBase64Url, encodeBase64Url } from './base64.ts';
import { FormatError } from './format-error.ts';
import {
  type EcdsaPublicKey,
  type Ed25519PublicKey,
  type RsaPublicKey,
  curves,
  decodePublicKey,
  encodePublicKey,
  publicKeyFromObject,
} from './public-key.ts';
import { equalBytes } from './wire.ts';

/** The private numbers of an RSA key as OpenSSH stores them; unsigned big-endian. */
export interface RsaSecrets {
  readonly d: Uint8Array;
  /** q^-1 mod p */
  readonly iqmp: Uint8Array;
  readonly p: Uint8Array;
  readonly q: Uint8Array;
}

/** @throws FormatError `bad-value` when `seed` (32 bytes) is not the private half of `key` */
export function ed25519KeyObject(key: Ed25519PublicKey, seed: Uint8Array): KeyObject {
  const x = encodeBase64Url(key.key);
  const object = importJwk({ kty: 'OKP', crv: 'Ed25519', d: encodeBase64Url(seed), x });
  if (object.export({ format: 'jwk' }).x !== x) throw mismatch();
  return object;
}

/** @throws FormatError `bad-value` when `scalar` (unsigned big-endian) is not the private half of `key` */
export function ecdsaKeyObject(key: EcdsaPublicKey, scalar: Uint8Array): KeyObject {
  const { jwk, coordinateLength } = curves[key.type];
  if (scalar.length > coordinateLength) throw mismatch();
  const d = new Uint8Array(coordinateLength);
  d.set(scalar, coordinateLength - scalar.length);
  if (!equalBytes(pointOf(key.type, d), key.point)) throw mismatch();
  return importJwk({
    kty: 'EC',
    crv: jwk,
    d: encodeBase64Url(d),
    x: encodeBase64Url(key.point.subarray(1, 1 + coordinateLength)),
    y: encodeBase64Url(key.point.subarray(1 + coordinateLength)),
  });
}

/** @throws FormatError `bad-value` when the numbers do not belong together */
export function rsaKeyObject(key: RsaPublicKey, secrets: RsaSecrets): KeyObject {
  const [d, p, q] = [toNumber(secrets.d), toNumber(secrets.p), toNumber(secrets.q)];
  checkRsa({ n: toNumber(key.modulus), e: toNumber(key.exponent), d, p, q, iqmp: toNumber(secrets.iqmp) });
  return importJwk({
    kty: 'RSA',
    n: encodeBase64Url(key.modulus),
    e: encodeBase64Url(key.exponent),
    d: encodeBase64Url(secrets.d),
    p: encodeBase64Url(secrets.p),
    q: encodeBase64Url(secrets.q),
    dp: encodeBase64Url(toBytes(d % (p - 1n))),
    dq: encodeBase64Url(toBytes(d % (q - 1n))),
    qi: encodeBase64Url(secrets.iqmp),
  });
}

/**
 * A private key that node:crypto read from a foreign format, after the same checks and made anew from its numbers: parts that we
 * do not look at, such as an RSA key's dp and dq, do not come along.
 * @throws FormatError `unsupported-algorithm`, `bad-value`
 */
export function rebuiltKeyPair(object: KeyObject): {
  privateKey: KeyObject;
  publicKey: Ed25519PublicKey | EcdsaPublicKey | RsaPublicKey;
} {
  const publicKey = decodePublicKey(encodePublicKey(publicKeyFromObject(object)));
  const { d, p, q, iqmp } = exportSecrets(object);
  switch (publicKey.type) {
    case 'ssh-ed25519':
      return { publicKey, privateKey: ed25519KeyObject(publicKey, d) };
    case 'ssh-rsa':
      if (p === undefined || q === undefined || iqmp === undefined) throw mismatch();
      return { publicKey, privateKey: rsaKeyObject(publicKey, { d, p, q, iqmp }) };
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      return { publicKey, privateKey: ecdsaKeyObject(publicKey, d) };
    default:
      throw new TypeError('node:crypto holds no security keys');
  }
}

/** The private numbers of a key: `d` always (the seed of Ed25519), the rest for RSA. */
export function exportSecrets(object: KeyObject): { readonly d: Uint8Array } & Partial<RsaSecrets> {
  const { d, p, q, qi } = object.export({ format: 'jwk' });
  if (d === undefined) throw new TypeError('not a private key');
  if (p === undefined || q === undefined || qi === undefined) return { d: decodeBase64Url(d) };
  return { d: decodeBase64Url(d), p: decodeBase64Url(p), q: decodeBase64Url(q), iqmp: decodeBase64Url(qi) };
}

function pointOf(type: EcdsaPublicKey['type'], d: Uint8Array): Uint8Array {
  try {
    const ecdh = createECDH(curves[type].openssl);
    ecdh.setPrivateKey(d);
    return ecdh.getPublicKey();
  } catch (cause) {
    throw new FormatError('bad-value', 'the private number is outside its curve', { cause });
  }
}

function checkRsa(key: Record<'n' | 'e' | 'd' | 'p' | 'q' | 'iqmp', bigint>): void {
  const { n, e, d, p, q, iqmp } = key;
  const ok =
    p > 1n &&
    q > 1n &&
    p * q === n &&
    d < n &&
    iqmp < p &&
    (e * d) % (p - 1n) === 1n &&
    (e * d) % (q - 1n) === 1n &&
    (iqmp * q) % p === 1n;
  if (!ok) throw mismatch();
}

function importJwk(key: Record<string, string>): KeyObject {
  try {
    return createPrivateKey({ key, format: 'jwk' });
  } catch (cause) {
    throw new FormatError('bad-value', 'the private key is not a valid one of its kind', { cause });
  }
}

function mismatch(): FormatError {
  return new FormatError('bad-value', 'the parts of the private key do not belong together');
}

function toNumber(magnitude: Uint8Array): bigint {
  return magnitude.length === 0 ? 0n : BigInt(`0x${Buffer.from(magnitude).toString('hex')}`);
}

function toBytes(number: bigint): Uint8Array {
  const hex = number.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}
