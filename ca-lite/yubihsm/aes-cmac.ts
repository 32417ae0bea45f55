/**
 * AES-CMAC with a 128-bit key (RFC 4493, NIST SP 800-38B) over node:crypto's AES.
 *
 * CMAC is CBC-MAC whose last block is masked with a subkey, so one CBC run over the prepared message gives the tag.
 */
import { createCipheriv } from 'node:crypto';

const blockSize = 16;

/** The 16-byte CMAC of the message. */
export function aesCmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(message.length / blockSize));
  const prepared = new Uint8Array(blocks * blockSize);
  prepared.set(message);
  const complete = message.length === blocks * blockSize;
  if (!complete) prepared[message.length] = 0x80;
  const { first, second } = subkeys(key);
  const mask = complete ? first : second;
  const last = prepared.subarray(-blockSize);
  for (let i = 0; i < blockSize; i++) last[i]! ^= mask[i]!;
  const cipher = createCipheriv('aes-128-cbc', key, new Uint8Array(blockSize)).setAutoPadding(false);
  return new Uint8Array(cipher.update(prepared).subarray(-blockSize));
}

function subkeys(key: Uint8Array): { first: Uint8Array; second: Uint8Array } {
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  const first = double(cipher.update(new Uint8Array(blockSize)));
  return { first, second: double(first) };
}

/** Multiplication by x in GF(2^128): shift left, and fold the carry back with 0x87. */
function double(block: Uint8Array): Uint8Array {
  const result = new Uint8Array(blockSize);
  for (let i = 0; i < blockSize; i++) result[i] = ((block[i]! << 1) | ((block[i + 1] ?? 0) >> 7)) & 0xff;
  if (block[0]! & 0x80) result[blockSize - 1]! ^= 0x87;
  return result;
}
