/**
 * The SSH wire encoding (RFC 4251 section 5): byte, uint32, uint64, string, mpint; reading and writing side by side.
 * A reader never allocates: it hands out views of its input, and checks each length against what is there and against
 * the bound that the caller names. Refused on purpose: negative mpints, mpints that are not minimal, text that is not UTF-8.
 */
import { FormatError } from './format-error.ts';

/** The bound on one string when the caller names no smaller one: OpenSSH's own SSHBUF maximum is 128 MiB; ours is 64 MiB. */
export const MAX_STRING_LENGTH = 64 * 1024 * 1024;
/** An mpint of 16,384 bits (OpenSSH's largest RSA modulus) and its sign byte. */
export const MAX_MPINT_LENGTH = 2048 + 1;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = plainBytes(bytes);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  byte(): number {
    return this.#view.getUint8(this.#take(1));
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  uint64(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  /** `length` bytes as a view of the input. */
  raw(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A string of at most `maxLength` bytes, as a view of the input. */
  string(maxLength: number = MAX_STRING_LENGTH): Uint8Array {
    const length = this.uint32();
    if (length > maxLength) throw new FormatError('too-large', `a string is longer than ${maxLength} bytes`);
    return this.raw(length);
  }

  /** A string of exactly `length` bytes. */
  fixed(length: number): Uint8Array {
    const bytes = this.string(length);
    if (bytes.length !== length) throw new FormatError('bad-value', `a string should have ${length} bytes`);
    return bytes;
  }

  /** A string holding valid UTF-8 without NUL. */
  text(maxLength: number = MAX_STRING_LENGTH): string {
    return decodeText(this.string(maxLength));
  }

  /** A string that holds a structure of its own. */
  nested(maxLength: number = MAX_STRING_LENGTH): WireReader {
    return new WireReader(this.string(maxLength));
  }

  /** A non-negative, minimally encoded mpint as its unsigned big-endian magnitude (empty for zero). */
  mpint(maxLength: number = MAX_MPINT_LENGTH): Uint8Array {
    const bytes = this.string(maxLength);
    const first = bytes[0];
    if (first === undefined) return bytes;
    if (first >= 0x80) throw new FormatError('bad-value', 'an mpint is negative');
    if (first !== 0) return bytes;
    const second = bytes[1];
    if (second === undefined || second < 0x80) throw new FormatError('bad-value', 'an mpint is not minimal');
    return bytes.subarray(1);
  }

  /** What is left, as a view. */
  rest(): Uint8Array {
    return this.raw(this.remaining);
  }

  /** @throws FormatError `trailing-data` unless everything has been read */
  end(): void {
    if (this.remaining > 0) throw new FormatError('trailing-data', `${this.remaining} bytes follow the last field`);
  }

  #take(length: number): number {
    if (length > this.remaining) throw new FormatError('truncated', 'the data ends inside a field');
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}

/**
 * Writes into memory of Node's pool of small Buffers, so that making a writer costs little; what `finish` gives stands alone. Numbers are
 * stored byte by byte: a view for each writer would cost more than it saves.
 */
export class WireWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(initialCapacity = 512) {
    this.#bytes = Buffer.allocUnsafe(initialCapacity);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** @throws TypeError unless `value` is an integer in [0, 256) */
  byte(value: number): this {
    if (!Number.isInteger(value) || value < 0 || value > 0xff) throw new TypeError('byte out of range');
    const start = this.#reserve(1);
    this.#bytes[start] = value;
    return this;
  }

  /** @throws TypeError unless `value` is an integer in [0, 2^32) */
  uint32(value: number): this {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new TypeError('uint32 out of range');
    const start = this.#reserve(4);
    this.#bytes.writeUInt32BE(value, start);
    return this;
  }

  /** @throws TypeError unless `value` is in [0, 2^64) */
  uint64(value: bigint): this {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new TypeError('uint64 out of range');
    const start = this.#reserve(8);
    this.#bytes.writeBigUInt64BE(value, start);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const start = this.#reserve(bytes.length); // before `#bytes` is looked up: it may be replaced
    this.#bytes.set(bytes, start);
    return this;
  }

  string(value: Uint8Array | string): this {
    if (typeof value !== 'string') return this.uint32(value.length).raw(value);
    assertText(value);
    const length = Buffer.byteLength(value);
    const start = this.uint32(length).#reserve(length);
    this.#bytes.write(value, start, length, 'utf8');
    return this;
  }

  /** A string that holds what `write` writes. */
  nested(write: (writer: this) => void): this {
    const start = this.#reserve(4);
    write(this);
    this.#bytes.writeUInt32BE(this.#length - start - 4, start);
    return this;
  }

  /** An unsigned big-endian magnitude, with or without leading zeros, as a minimal mpint. */
  mpint(magnitude: Uint8Array): this {
    let start = 0;
    while (start < magnitude.length && magnitude[start] === 0) start++;
    const minimal = magnitude.subarray(start);
    if ((minimal[0] ?? 0) < 0x80) return this.string(minimal);
    return this.uint32(minimal.length + 1)
      .byte(0)
      .raw(minimal);
  }

  /** A copy of what has been written. */
  finish(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(0, this.#length));
  }

  #reserve(length: number): number {
    const start = this.#length;
    const needed = start + length;
    if (needed > this.#bytes.length) this.#grow(needed);
    this.#length = needed;
    return start;
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes.fill(0);
    this.#bytes = grown;
  }

  /** Leaves nothing of what was written in memory that others will use: for secrets. What `finish` gave stays. */
  [Symbol.dispose](): void {
    this.#bytes.fill(0);
    this.#length = 0;
  }
}

/** UTF-8 without NUL as a JavaScript string. @throws FormatError `bad-value` */
export function decodeText(bytes: Uint8Array): string {
  if (bytes.includes(0)) throw new FormatError('bad-value', 'a text holds a NUL byte');
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new FormatError('bad-value', 'a text is not valid UTF-8', { cause });
  }
}

/** @throws TypeError for a text with a NUL or a lone surrogate, which no decoder would give back */
export function encodeText(text: string): Uint8Array {
  assertText(text);
  return utf8Encoder.encode(text);
}

function assertText(text: string): void {
  if (text.includes('\0') || !text.isWellFormed()) throw new TypeError('text with NUL or lone surrogate');
}

/** The same bytes without `Buffer`, whose `slice` does not copy and whose look in a comparison differs. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.constructor === Uint8Array) return bytes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Equality of public bytes; not for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
