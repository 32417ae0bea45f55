/**
 * Framing of the ssh-agent protocol (RFC 9987 section 3): `uint32 length`, then that many bytes, of which the first is the
 * message number. A stream arrives in any pieces; the reader gives out whole messages, and copies only what arrives split.
 * Refused on purpose: empty messages and messages over 256 KiB, before anything is allocated for them.
 */
import { MAX_AGENT_MESSAGE_LENGTH } from './agent-number.ts';
import { FormatError } from './format-error.ts';

const HEADER_LENGTH = 4;

/** The frame of one message. @throws TypeError for a message that no reader would take */
export function encodeAgentFrame(message: Uint8Array): Uint8Array {
  if (message.length === 0 || message.length > MAX_AGENT_MESSAGE_LENGTH) throw new TypeError('message length');
  const frame = new Uint8Array(HEADER_LENGTH + message.length);
  new DataView(frame.buffer).setUint32(0, message.length);
  frame.set(message, HEADER_LENGTH);
  return frame;
}

export class AgentFrameReader {
  #chunks: Uint8Array[] = [];
  #length = 0;

  /** Bytes held for a message that is not complete yet: never more than one message, its header and one chunk. */
  get pendingLength(): number {
    return this.#length;
  }

  /** Takes what arrived. The bytes belong to the reader from now on: a message may be a view of them. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /**
   * The next whole message, or undefined when more must arrive first.
   * @throws FormatError `too-large`, `bad-value`: the stream is beyond repair, close it
   */
  next(): Uint8Array | undefined {
    if (this.#length < HEADER_LENGTH) return undefined;
    const first = this.#joined(HEADER_LENGTH);
    const length = new DataView(first.buffer, first.byteOffset, HEADER_LENGTH).getUint32(0);
    if (length > MAX_AGENT_MESSAGE_LENGTH) throw new FormatError('too-large', 'an agent message exceeds 256 KiB');
    if (length === 0) throw new FormatError('bad-value', 'an agent message is empty');
    const end = HEADER_LENGTH + length;
    if (this.#length < end) return undefined;
    const whole = this.#joined(end);
    this.#drop(whole, end);
    return whole.subarray(HEADER_LENGTH, end);
  }

  /** The first chunk, after joining as many as are needed for it to hold `length` bytes. What is joined is wiped. */
  #joined(length: number): Uint8Array {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= length) return first;
    const parts = this.#chunks;
    const joined = new Uint8Array(this.#length);
    let offset = 0;
    for (const part of parts) {
      joined.set(part, offset);
      part.fill(0); // it may hold a private key
      offset += part.length;
    }
    this.#chunks = [joined];
    return joined;
  }

  #drop(first: Uint8Array, length: number): void {
    if (first.length === length) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(length);
    this.#length -= length;
  }
}
