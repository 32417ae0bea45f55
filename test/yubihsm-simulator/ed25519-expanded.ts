/**
 * Ed25519 with an expanded private key (RFC 8032, section 5.1.6, from step 2 on): for keys that came in without their
 * seed, which node:crypto cannot use. Plain big integers, neither fast nor constant in time: this is a simulator.
 */
import { createHash } from 'node:crypto';

const p = 2n ** 255n - 19n;
const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
const d = mod(-121_665n * power(121_666n, p - 2n));

interface Point {
  x: bigint;
  y: bigint;
  z: bigint;
  t: bigint;
}

const baseY = mod(4n * power(5n, p - 2n));
const base: Point = point(
  15_112_221_349_535_400_772_501_151_409_588_531_511_454_012_693_041_857_206_046_113_283_949_847_762_202n,
  baseY,
);

/** Signs with the clamped scalar (little-endian), the prefix and the public key, 32 bytes each. */
export function ed25519SignExpanded(scalar: Buffer, prefix: Buffer, publicKey: Buffer, message: Buffer): Buffer {
  const r = mod(littleEndian(sha512(prefix, message)), order);
  const commitment = encode(multiply(base, r));
  const challenge = littleEndian(sha512(commitment, publicKey, message));
  const s = mod(r + challenge * littleEndian(scalar), order);
  return Buffer.concat([commitment, toLittleEndian(s)]);
}

function point(x: bigint, y: bigint): Point {
  return { x, y, z: 1n, t: mod(x * y) };
}

/** RFC 8032, section 5.1.4. */
function add(a: Point, b: Point): Point {
  const first = mod((a.y - a.x) * (b.y - b.x));
  const second = mod((a.y + a.x) * (b.y + b.x));
  const third = mod(2n * a.t * b.t * d);
  const fourth = mod(2n * a.z * b.z);
  const [e, f, g, h] = [second - first, fourth - third, fourth + third, second + first];
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

function multiply(start: Point, factor: bigint): Point {
  let result: Point = point(0n, 1n);
  let current = start;
  for (let rest = factor; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = add(result, current);
    current = add(current, current);
  }
  return result;
}

function encode({ x, y, z }: Point): Buffer {
  const inverse = power(z, p - 2n);
  const bytes = toLittleEndian(mod(y * inverse));
  bytes[31]! |= Number(mod(x * inverse) & 1n) << 7;
  return bytes;
}

function mod(value: bigint, modulus = p): bigint {
  return ((value % modulus) + modulus) % modulus;
}

function power(value: bigint, exponent: bigint): bigint {
  let result = 1n;
  let current = mod(value);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = mod(result * current);
    current = mod(current * current);
  }
  return result;
}

function littleEndian(bytes: Buffer): bigint {
  return BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex')}`);
}

function toLittleEndian(value: bigint): Buffer {
  return Buffer.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toReversed());
}

function sha512(...parts: Buffer[]): Buffer {
  return createHash('sha512').update(Buffer.concat(parts)).digest();
}
