/**
 * The start of an SSH connection before encryption: the identification line (RFC 4253 section 4.2) and plain packets (section 6),
 * from a stream that arrives in any pieces. Pure.
 * Refused on purpose: lines over 255 bytes, more than 50 lines before the identification, packets over 35,000 bytes.
 */
import { FormatError } from '#openssh/format-error.ts';
import { WireWriter, decodeText } from '#openssh/wire.ts';

/** What every implementation must take (RFC 4253 section 6.1). */
const MAX_PACKET_LENGTH = 35_000;
const MAX_LINE_LENGTH = 255;
const MAX_LINES = 50;
const BLOCK_LENGTH = 8;
const MIN_PADDING = 4;
const LINE_FEED = 0x0a;

/** @param padding random bytes, at least 11 of them */
export function encodePacket(payload: Uint8Array, padding: Uint8Array): Uint8Array {
  const unpadded = 5 + payload.length + MIN_PADDING;
  const paddingLength = MIN_PADDING + ((BLOCK_LENGTH - (unpadded % BLOCK_LENGTH)) % BLOCK_LENGTH);
  return new WireWriter(unpadded + BLOCK_LENGTH)
    .uint32(1 + payload.length + paddingLength)
    .byte(paddingLength)
    .raw(payload)
    .raw(padding.subarray(0, paddingLength))
    .finish();
}

/** Takes bytes, gives out first the identification and then packets; `undefined` means: more bytes must come first. */
export class HandshakeReader {
  #pending: Uint8Array = new Uint8Array();
  #lines = 0;

  push(chunk: Uint8Array): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
  }

  /** The identification without its line end; lines before it are skipped. @throws FormatError */
  identification(): string | undefined {
    for (;;) {
      const line = this.#line();
      if (line === undefined || line.startsWith('SSH-')) return line;
      if (++this.#lines >= MAX_LINES) throw new FormatError('too-large', 'too many lines before the identification');
    }
  }

  /** The payload of one packet. @throws FormatError */
  packet(): Uint8Array | undefined {
    if (this.#pending.length < 5) return undefined;
    const length = new DataView(this.#pending.buffer, this.#pending.byteOffset, 4).getUint32(0);
    if (length > MAX_PACKET_LENGTH) throw new FormatError('too-large', 'a packet is longer than 35,000 bytes');
    const padding = this.#pending[4] ?? 0;
    if (length < padding + 2) throw new FormatError('bad-value', 'a packet has no payload');
    if (this.#pending.length < 4 + length) return undefined;
    const payload = this.#pending.slice(5, 4 + length - padding);
    this.#pending = this.#pending.subarray(4 + length);
    return payload;
  }

  #line(): string | undefined {
    const end = this.#pending.indexOf(LINE_FEED);
    if (end > MAX_LINE_LENGTH || (end === -1 && this.#pending.length > MAX_LINE_LENGTH)) {
      throw new FormatError('too-large', 'a line before the key exchange is longer than 255 bytes');
    }
    if (end === -1) return undefined;
    const line = this.#pending.subarray(0, this.#pending[end - 1] === 0x0d ? end - 1 : end);
    this.#pending = this.#pending.subarray(end + 1);
    return decodeText(line);
  }
}
