/** Everything that a stream gives, up to a bound. */
import type { Readable } from 'node:stream';
import { FormatError } from '#openssh/format-error.ts';

/** @throws FormatError `too-large` as soon as `maxLength` is passed */
export async function readableBytes(stream: Readable, maxLength: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxLength) throw new FormatError('too-large', `more than ${maxLength} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
