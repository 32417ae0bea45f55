/**
 * Private keys in the device's own form, and what is computed with them.
 *
 * RSA: `p | q | dp | dq | qinv | n`. EC: `d | X | Y`. Ed25519: the clamped scalar, bytes reversed, the upper half of
 * SHA-512 of the seed, the public key, and since firmware 2.4 the seed behind them (where a real device keeps it is not
 * published). The RSA exponent is always 65537.
 */
import {
  constants,
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  privateEncrypt,
  randomBytes,
  sign,
} from 'node:crypto';
import { promisify } from 'node:util';
import { ed25519SignExpanded } from './ed25519-expanded.ts';
import { algorithm, Refusal } from './numbers.ts';

interface Curve {
  name: string;
  length: number;
  order: bigint;
}

const curves = new Map<number, Curve>([
  [
    algorithm.p256,
    { name: 'prime256v1', length: 32, order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n },
  ],
  [
    algorithm.p384,
    {
      name: 'secp384r1',
      length: 48,
      order: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    },
  ],
  [
    algorithm.p521,
    {
      name: 'secp521r1',
      length: 66,
      order:
        0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
    },
  ],
]);
const rsaBytes = new Map<number, number>([
  [algorithm.rsa2048, 256],
  [algorithm.rsa3072, 384],
  [algorithm.rsa4096, 512],
]);
const publicExponent = 65_537n;

/** Says whether the simulator can hold a key of this algorithm. */
export function isAsymmetric(number: number): boolean {
  return curves.has(number) || rsaBytes.has(number) || number === algorithm.ed25519;
}

export function isRsa(number: number): boolean {
  return rsaBytes.has(number);
}

export function isEc(number: number): boolean {
  return curves.has(number);
}

/** Makes a key. */
export async function generateMaterial(number: number, withSeed: boolean): Promise<Buffer> {
  const bytes = rsaBytes.get(number);
  if (bytes !== undefined) {
    const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bytes * 8 });
    const { p, q } = privateKey.export({ format: 'jwk' });
    return importMaterial(number, Buffer.concat([left(fromUrl(p), bytes / 2), left(fromUrl(q), bytes / 2)]), withSeed);
  }
  const curve = curves.get(number);
  if (curve === undefined) return importMaterial(number, randomBytes(32), withSeed);
  const ecdh = createECDH(curve.name);
  ecdh.generateKeys();
  return importMaterial(number, left(ecdh.getPrivateKey(), curve.length), withSeed);
}

/** Takes a key in the form of PUT ASYMMETRIC KEY. */
export function importMaterial(number: number, secret: Buffer, withSeed: boolean): Buffer {
  if (rsaBytes.has(number)) return importRsa(rsaBytes.get(number)!, secret);
  const curve = curves.get(number);
  return curve === undefined ? importEd25519(secret, withSeed) : importEc(curve, secret);
}

function importRsa(bytes: number, secret: Buffer): Buffer {
  if (secret.length !== bytes) throw new Refusal('wrongLength');
  const p = toNumber(secret.subarray(0, bytes / 2));
  const q = toNumber(secret.subarray(bytes / 2));
  const n = p * q;
  const d = inverse(publicExponent, (p - 1n) * (q - 1n));
  if (n.toString(2).length !== bytes * 8) throw new Refusal('invalidData');
  const half = [p, q, d % (p - 1n), d % (q - 1n), inverse(q, p)].map((value) => toBytes(value, bytes / 2));
  return Buffer.concat([...half, toBytes(n, bytes)]);
}

function importEc(curve: Curve, secret: Buffer): Buffer {
  if (secret.length !== curve.length) throw new Refusal('wrongLength');
  try {
    const ecdh = createECDH(curve.name);
    ecdh.setPrivateKey(secret);
    return Buffer.concat([secret, ecdh.getPublicKey().subarray(1)]);
  } catch {
    throw new Refusal('invalidData');
  }
}

function importEd25519(seed: Buffer, withSeed: boolean): Buffer {
  if (seed.length !== 32) throw new Refusal('wrongLength');
  const expanded = createHash('sha512').update(seed).digest();
  expanded[0]! &= 248;
  expanded[31] = (expanded[31]! & 63) | 64;
  const publicKey = Buffer.from(createPublicKey(seedKey(seed)).export({ format: 'jwk' }).x ?? '', 'base64url');
  const scalar = Buffer.from(expanded.subarray(0, 32).toReversed());
  return Buffer.concat([scalar, expanded.subarray(32), publicKey, ...(withSeed ? [seed] : [])]);
}

function seedKey(seed: Buffer): KeyObject {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** Says whether imported bytes have a length that a key of this algorithm can have. */
export function isMaterialLength(number: number, length: number): boolean {
  const rsa = rsaBytes.get(number);
  if (rsa !== undefined) return length === (rsa / 2) * 5 + rsa;
  const curve = curves.get(number);
  return curve === undefined ? length === 96 || length === 128 : length === curve.length * 3;
}

/** The public half as GET PUBLIC KEY answers it, without the algorithm. */
export function publicHalf(number: number, value: Buffer): Buffer {
  const rsa = rsaBytes.get(number);
  if (rsa !== undefined) return value.subarray(-rsa);
  const curve = curves.get(number);
  return curve === undefined ? value.subarray(64, 96) : value.subarray(curve.length);
}

/** The private key for node:crypto; RSA only. */
export function rsaKey(number: number, value: Buffer): KeyObject {
  const bytes = rsaBytes.get(number)!;
  const [p, q, dp, dq, qi] = Array.from({ length: 5 }, (_, i) =>
    value.subarray((i * bytes) / 2, ((i + 1) * bytes) / 2),
  );
  const d = inverse(publicExponent, (toNumber(p!) - 1n) * (toNumber(q!) - 1n));
  const part = (buffer: Buffer): string => buffer.toString('base64url');
  return createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'RSA',
      n: part(value.subarray(-bytes)),
      e: 'AQAB',
      d: part(toBytes(d, bytes)),
      p: part(p!),
      q: part(q!),
      dp: part(dp!),
      dq: part(dq!),
      qi: part(qi!),
    },
  });
}

/** The private key for node:crypto; RSA and EC. */
export function privateKeyOf(number: number, value: Buffer): KeyObject {
  return isRsa(number) ? rsaKey(number, value) : createPrivateKey({ format: 'jwk', key: ecJwk(number, value) });
}

/** The public key for node:crypto; RSA and EC. */
export function publicKeyOf(number: number, value: Buffer): KeyObject {
  return createPublicKey(privateKeyOf(number, value));
}

function ecJwk(number: number, value: Buffer): { kty: 'EC'; crv: string; d: string; x: string; y: string } {
  const { length } = curves.get(number)!;
  const [d, x, y] = [0, 1, 2].map((index) =>
    value.subarray(index * length, (index + 1) * length).toString('base64url'),
  );
  const names = new Map([
    [32, 'P-256'],
    [48, 'P-384'],
    [66, 'P-521'],
  ]);
  return { kty: 'EC', crv: names.get(length)!, d: d!, x: x!, y: y! };
}

const digestInfo: Record<number, string> = {
  20: '3021300906052b0e03021a05000414',
  32: '3031300d060960864801650304020105000420',
  48: '3041300d060960864801650304020205000430',
  64: '3051300d060960864801650304020305000440',
};

/** RSASSA-PKCS1-v1_5 over a hash, or over a ready DigestInfo. */
export function signPkcs1(number: number, value: Buffer, hash: Buffer): Buffer {
  const prefix = digestInfo[hash.length];
  const ready = Object.entries(digestInfo).some(
    ([length, info]) => hash.toString('hex').startsWith(info) && hash.length === info.length / 2 + Number(length),
  );
  if (prefix === undefined && !ready) throw new Refusal('wrongLength');
  const padded = ready ? hash : Buffer.concat([Buffer.from(prefix!, 'hex'), hash]);
  return privateEncrypt({ key: rsaKey(number, value), padding: constants.RSA_PKCS1_PADDING }, padded);
}

/** ECDSA over a hash, which is cut to the curve's length; DER. */
export function signEcdsa(number: number, value: Buffer, hash: Buffer): Buffer {
  const curve = curves.get(number)!;
  const d = toNumber(value.subarray(0, curve.length));
  const bits = curve.order.toString(2).length;
  const surplus = Math.max(0, hash.length * 8 - bits);
  const z = toNumber(hash) >> BigInt(surplus);
  for (;;) {
    const ecdh = createECDH(curve.name);
    const point = ecdh.generateKeys();
    const k = toNumber(ecdh.getPrivateKey());
    const r = toNumber(point.subarray(1, 1 + curve.length)) % curve.order;
    const s = (inverse(k, curve.order) * (z + r * d)) % curve.order;
    if (r !== 0n && s !== 0n) return derSignature(r, s);
  }
}

/** Pure Ed25519 over a message. A key that came in without its seed is used in its expanded form. */
export function signEddsa(value: Buffer, message: Buffer): Buffer {
  if (value.length === 128) return sign(null, message, seedKey(value.subarray(96)));
  const scalar = Buffer.from(value.subarray(0, 32).toReversed());
  return ed25519SignExpanded(scalar, value.subarray(32, 64), value.subarray(64, 96), message);
}

function derSignature(r: bigint, s: bigint): Buffer {
  const integers = Buffer.concat([derInteger(r), derInteger(s)]);
  return Buffer.concat([Buffer.of(0x30, ...derLength(integers.length)), integers]);
}

function derInteger(value: bigint): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  const positive = bytes[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
  return Buffer.concat([Buffer.of(2, ...derLength(positive.length)), positive]);
}

function derLength(length: number): number[] {
  return length < 0x80 ? [length] : [0x81, length];
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n];
  while (a > 1n) {
    if (b === 0n) throw new Refusal('invalidData');
    const quotient = a / b;
    [a, b] = [b, a % b];
    [x, y] = [y, x - quotient * y];
  }
  return ((x % modulus) + modulus) % modulus;
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}

function toBytes(value: bigint, length: number): Buffer {
  return Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex');
}

function left(bytes: Buffer, length: number): Buffer {
  return Buffer.concat([Buffer.alloc(length - bytes.length), bytes]);
}

function fromUrl(text: string | undefined): Buffer {
  return Buffer.from(text ?? '', 'base64url');
}
