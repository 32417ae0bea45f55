/** Reads the bytes of a command; a command that is too short or too long is refused as the device does (0x08). */
import { Refusal } from './numbers.ts';

export class Cursor {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes);
  }

  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  take(length: number): Buffer {
    if (length > this.remaining) throw new Refusal('wrongLength');
    const part = this.#buffer.subarray(this.#at, this.#at + length);
    this.#at += length;
    return part;
  }

  /** The next two bytes, which are read again. */
  peekUint16(): number {
    if (this.remaining < 2) throw new Refusal('wrongLength');
    return this.#buffer.readUInt16BE(this.#at);
  }

  uint8(): number {
    return this.take(1).readUInt8();
  }

  uint16(): number {
    return this.take(2).readUInt16BE();
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.take(8).readBigUInt64BE();
  }

  all(): Buffer {
    return this.take(this.remaining);
  }

  done(): void {
    if (this.remaining !== 0) throw new Refusal('wrongLength');
  }
}

/** Two bytes. */
export function short(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** Four bytes. */
export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Eight bytes. */
export function long(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
