/**
 * Big-endian integers and bounded reading, as all messages of the YubiHSM use them. Encode beside decode.
 *
 * The reader refuses to read past the end and lets a decoder insist on an exact end: an answer is never partly
 * understood. It copies nothing; what it returns are views on the message.
 */
import { HsmError } from './errors.ts';

/** Joins byte strings. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** One byte, 0 to 255. */
export function u8(value: number): Uint8Array {
  return integer(value, 1);
}

/** Two bytes, 0 to 65535. */
export function u16(value: number): Uint8Array {
  return integer(value, 2);
}

/** Four bytes, 0 to 2^32 - 1. */
export function u32(value: number): Uint8Array {
  return integer(value, 4);
}

/** Eight bytes, 0 to 2^64 - 1. */
export function u64(value: bigint): Uint8Array {
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new TypeError('not a 64-bit number');
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

function integer(value: number, size: 1 | 2 | 4): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) {
    throw new TypeError(`not a number of ${size} byte(s): ${value}`);
  }
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = Math.floor(value / 2 ** (8 * (size - 1 - i))) & 0xff;
  return bytes;
}

/** Reads a message from front to back; every fault is an {@link HsmError} `answer-malformed`. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  /** `what` names the message in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.bytes(1)[0]!;
  }

  u16(): number {
    const [a, b] = this.bytes(2) as unknown as [number, number];
    return a * 256 + b;
  }

  u32(): number {
    return this.u16() * 65_536 + this.u16();
  }

  u64(): bigint {
    return BigInt(this.u32()) * 0x1_0000_0000n + BigInt(this.u32());
  }

  /** The next `length` bytes. */
  bytes(length: number): Uint8Array {
    if (length > this.left) throw this.malformed('cut short');
    const start = this.#offset;
    this.#offset += length;
    return this.#bytes.subarray(start, this.#offset);
  }

  /** All that is left; may be empty. */
  rest(): Uint8Array {
    return this.bytes(this.left);
  }

  /** Insists that nothing is left. */
  end(): void {
    if (this.left !== 0) throw this.malformed(`${this.left} byte(s) too long`);
  }

  /** The error for a message that is not of its form. */
  malformed(why: string): HsmError {
    return new HsmError('answer-malformed', `${this.#what}: malformed (${why})`);
  }
}
