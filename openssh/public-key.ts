/**
 * SSH public keys: the binary blob (RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4, OpenSSH PROTOCOL.u2f),
 * its conversion to and from node:crypto, and the one-line text form `type base64 comment`.
 * Refused on purpose: compressed and hybrid EC points, point at infinity, points off the curve, even or tiny RSA exponents,
 * RSA moduli under 1,024 or over 16,384 bits, DSA, ML-DSA.
 */
import { type KeyObject, createPublicKey, type webcrypto } from 'node:crypto';
import { decodeBase64, decodeBase64Url, encodeBase64, encodeBase64Url } from './base64.ts';
import { FormatError } from './format-error.ts';
import { type EcdsaKeyType, type KeyType, MAX_ALGORITHM_NAME_LENGTH, keyTypeNamed } from './key-type.ts';
import { MAX_MPINT_LENGTH, WireReader, WireWriter } from './wire.ts';

/** The largest blob: RSA with a modulus of 16,384 bits and a generous exponent. */
export const MAX_PUBLIC_KEY_LENGTH = 8 * 1024;
/** `application` of a security key: `ssh:` plus a name; OpenSSH sets no bound of its own. */
const MAX_APPLICATION_LENGTH = 1024;
const MAX_RSA_EXPONENT_LENGTH = 8;
/** A line may hold a certificate (256 KiB as base64) and a comment. */
const MAX_LINE_LENGTH = 512 * 1024;

export interface Ed25519PublicKey {
  readonly type: 'ssh-ed25519';
  /** 32 bytes. */
  readonly key: Uint8Array;
}
export interface EcdsaPublicKey {
  readonly type: EcdsaKeyType;
  /** Uncompressed: 0x04, X, Y; 65, 97 or 133 bytes. */
  readonly point: Uint8Array;
}
export interface RsaPublicKey {
  readonly type: 'ssh-rsa';
  /** Unsigned big-endian, no leading zero. */
  readonly exponent: Uint8Array;
  readonly modulus: Uint8Array;
}
export interface SkEd25519PublicKey {
  readonly type: 'sk-ssh-ed25519@openssh.com';
  readonly key: Uint8Array;
  readonly application: string;
}
export interface SkEcdsaPublicKey {
  readonly type: 'sk-ecdsa-sha2-nistp256@openssh.com';
  readonly point: Uint8Array;
  readonly application: string;
}
export type PublicKey = Ed25519PublicKey | EcdsaPublicKey | RsaPublicKey | SkEd25519PublicKey | SkEcdsaPublicKey;

interface CurveFacts {
  /** Name in the blob (RFC 5656 section 6.1). */
  readonly ssh: string;
  readonly jwk: string;
  /** Names that node:crypto gives in `asymmetricKeyDetails.namedCurve`. */
  readonly openssl: string;
  /** Length of one coordinate in bytes. */
  readonly coordinateLength: number;
}

export const curves: Readonly<Record<EcdsaKeyType, CurveFacts>> = {
  'ecdsa-sha2-nistp256': { ssh: 'nistp256', jwk: 'P-256', openssl: 'prime256v1', coordinateLength: 32 },
  'ecdsa-sha2-nistp384': { ssh: 'nistp384', jwk: 'P-384', openssl: 'secp384r1', coordinateLength: 48 },
  'ecdsa-sha2-nistp521': { ssh: 'nistp521', jwk: 'P-521', openssl: 'secp521r1', coordinateLength: 66 },
};

/** @throws FormatError */
export function decodePublicKey(blob: Uint8Array): PublicKey {
  if (blob.length > MAX_PUBLIC_KEY_LENGTH) throw new FormatError('too-large', 'the public key is longer than 8 KiB');
  const reader = new WireReader(blob);
  const key = readPublicKeyFields(keyTypeNamed(reader.text(MAX_ALGORITHM_NAME_LENGTH)), reader);
  reader.end();
  return key;
}

export function encodePublicKey(key: PublicKey): Uint8Array {
  const writer = new WireWriter();
  writePublicKey(key, writer);
  return writer.finish();
}

/** The blob of a key inside of something larger. */
export function writePublicKey(key: PublicKey, writer: WireWriter): void {
  writePublicKeyFields(key, writer.string(key.type));
}

/** Reads the fields that follow the type name; certificates hold the same fields after their nonce. */
export function readPublicKeyFields(type: KeyType, reader: WireReader): PublicKey {
  switch (type) {
    case 'ssh-ed25519':
      return { type, key: reader.fixed(32) };
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      return { type, point: readPoint(type, reader) };
    case 'ssh-rsa':
      return readRsa(reader);
    case 'sk-ssh-ed25519@openssh.com':
      return { type, key: reader.fixed(32), application: reader.text(MAX_APPLICATION_LENGTH) };
    case 'sk-ecdsa-sha2-nistp256@openssh.com':
      return {
        type,
        point: readPoint('ecdsa-sha2-nistp256', reader),
        application: reader.text(MAX_APPLICATION_LENGTH),
      };
  }
}

export function writePublicKeyFields(key: PublicKey, writer: WireWriter): void {
  switch (key.type) {
    case 'ssh-ed25519':
      writer.string(key.key);
      return;
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      writer.string(curves[key.type].ssh).string(key.point);
      return;
    case 'ssh-rsa':
      writer.mpint(key.exponent).mpint(key.modulus);
      return;
    case 'sk-ssh-ed25519@openssh.com':
      writer.string(key.key).string(key.application);
      return;
    case 'sk-ecdsa-sha2-nistp256@openssh.com':
      writer.string('nistp256').string(key.point).string(key.application);
      return;
  }
}

function readPoint(type: EcdsaKeyType, reader: WireReader): Uint8Array {
  const { ssh, coordinateLength } = curves[type];
  if (reader.text(MAX_ALGORITHM_NAME_LENGTH) !== ssh) throw new FormatError('bad-value', 'curve and key type differ');
  const point = reader.fixed(1 + 2 * coordinateLength);
  if (point[0] !== 4) throw new FormatError('bad-value', 'an EC point is not in uncompressed form');
  return point;
}

function readRsa(reader: WireReader): RsaPublicKey {
  const exponent = reader.mpint(MAX_RSA_EXPONENT_LENGTH);
  const modulus = reader.mpint(MAX_MPINT_LENGTH);
  const lowest = exponent.at(-1) ?? 0;
  if (lowest % 2 === 0 || (exponent.length === 1 && lowest < 3)) {
    throw new FormatError('bad-value', 'the RSA exponent is even or less than 3');
  }
  const bits = bitLength(modulus);
  if (bits < 1024 || bits > 16_384)
    throw new FormatError('bad-value', 'the RSA modulus is outside 1,024 to 16,384 bits');
  if ((modulus.at(-1) ?? 0) % 2 === 0) throw new FormatError('bad-value', 'the RSA modulus is even');
  return { type: 'ssh-rsa', exponent, modulus };
}

/** Bits of an unsigned big-endian magnitude. */
export function bitLength(magnitude: Uint8Array): number {
  const first = magnitude[0];
  return first === undefined ? 0 : (magnitude.length - 1) * 8 + (32 - Math.clz32(first));
}

/** Key size in bits as `ssh-keygen -l` prints it: the modulus of RSA, the field of a curve. */
export function keyBits(key: PublicKey): number {
  switch (key.type) {
    case 'ssh-rsa':
      return bitLength(key.modulus);
    case 'ecdsa-sha2-nistp384':
      return 384;
    case 'ecdsa-sha2-nistp521':
      return 521;
    default:
      return 256;
  }
}

/**
 * The key for node:crypto; for security keys the key inside, whose signatures cover PROTOCOL.u2f's structure.
 * @throws FormatError `bad-value` when a point is not on its curve
 */
export function publicKeyObject(key: PublicKey): KeyObject {
  try {
    return createPublicKey({ key: jwkOf(key), format: 'jwk' });
  } catch (cause) {
    throw new FormatError('bad-value', 'the public key is not a valid point or number', { cause });
  }
}

function jwkOf(key: PublicKey): Record<string, string> {
  switch (key.type) {
    case 'ssh-ed25519':
    case 'sk-ssh-ed25519@openssh.com':
      return { kty: 'OKP', crv: 'Ed25519', x: encodeBase64Url(key.key) };
    case 'ssh-rsa':
      return { kty: 'RSA', e: encodeBase64Url(key.exponent), n: encodeBase64Url(key.modulus) };
    case 'sk-ecdsa-sha2-nistp256@openssh.com':
      return jwkOfPoint('ecdsa-sha2-nistp256', key.point);
    default:
      return jwkOfPoint(key.type, key.point);
  }
}

function jwkOfPoint(type: EcdsaKeyType, point: Uint8Array): Record<string, string> {
  const { jwk, coordinateLength } = curves[type];
  return {
    kty: 'EC',
    crv: jwk,
    x: encodeBase64Url(point.subarray(1, 1 + coordinateLength)),
    y: encodeBase64Url(point.subarray(1 + coordinateLength)),
  };
}

/**
 * The SSH form of a node:crypto key, public or private.
 * @throws FormatError `unsupported-algorithm` for a kind of key that SSH or we do not use
 */
export function publicKeyFromObject(object: KeyObject): PublicKey {
  const jwk = exportPublicJwk(object);
  const field = (name: 'x' | 'y' | 'e' | 'n'): Uint8Array => decodeBase64Url(jwk[name] ?? '');
  if (jwk.kty === 'RSA') return { type: 'ssh-rsa', exponent: field('e'), modulus: field('n') };
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') return { type: 'ssh-ed25519', key: field('x') };
  const curve = (Object.keys(curves) as EcdsaKeyType[]).find(
    (type) => jwk.kty === 'EC' && curves[type].jwk === jwk.crv,
  );
  if (curve === undefined) throw new FormatError('unsupported-algorithm', 'the key is not Ed25519, ECDSA or RSA');
  return { type: curve, point: new WireWriter(133).byte(4).raw(field('x')).raw(field('y')).finish() };
}

function exportPublicJwk(object: KeyObject): webcrypto.JsonWebKey {
  try {
    return (object.type === 'private' ? createPublicKey(object) : object).export({ format: 'jwk' });
  } catch (cause) {
    // DSA, RSA-PSS and curves that JOSE does not name have no JWK.
    throw new FormatError('unsupported-algorithm', 'the key is not Ed25519, ECDSA or RSA', { cause });
  }
}

export interface PublicKeyLine {
  readonly key: PublicKey;
  readonly blob: Uint8Array;
  /** Everything after the base64, without surrounding white space; may be empty. */
  readonly comment: string;
}

/** Parses one `type base64 [comment]` line, as in a `.pub` file; options before the type are not accepted. @throws FormatError */
export function parsePublicKeyLine(line: string): PublicKeyLine {
  const { name, blob, comment } = splitKeyLine(line);
  keyTypeNamed(name);
  const key = decodePublicKey(blob);
  if (key.type !== name)
    throw new FormatError('bad-value', 'the type at the start of the line is not the type of the key');
  return { key, blob, comment };
}

/** The three parts of a key or certificate line, the middle one decoded. @throws FormatError */
export function splitKeyLine(line: string): { name: string; blob: Uint8Array; comment: string } {
  if (line.length > MAX_LINE_LENGTH) throw new FormatError('too-large', 'a public key line is longer than 512 KiB');
  const trimmed = line.trim();
  const [start = '', name, base64] = /^([!-~]{1,64})[ \t]+([A-Za-z0-9+/]+={0,2})(?=[ \t]|$)/.exec(trimmed) ?? [];
  const comment = trimmed.slice(start.length).trim();
  if (name === undefined || base64 === undefined || /[\r\n\0]/.test(comment))
    throw new FormatError('bad-value', 'not a public key line: expected TYPE BASE64 [COMMENT]');
  return { name, blob: decodeBase64(base64), comment };
}

/** `type base64 comment`, without a line end. @throws TypeError for a comment with a line break */
export function formatPublicKeyLine(key: PublicKey, comment = ''): string {
  if (/[\r\n\0]/.test(comment)) throw new TypeError('comment with a line break or NUL');
  return `${key.type} ${encodeBase64(encodePublicKey(key))}${comment === '' ? '' : ` ${comment}`}`;
}
