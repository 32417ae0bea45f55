/**
 * Strict base64 (RFC 4648 sections 3.5, 4, 5): canonical alphabet, canonical padding, zero trailing bits, no white space.
 * `Buffer.from(text, 'base64')` skips what it does not know; nothing in this project calls it but this file.
 */
import { FormatError } from './format-error.ts';

/** No text of ours is longer: a KRL of a million serials as base64 has about 11 MB. */
const MAX_TEXT_LENGTH = 64 * 1024 * 1024;

/** Decodes standard base64 with padding. @throws FormatError `bad-base64`, `too-large` */
export function decodeBase64(text: string): Uint8Array {
  return decode(text, 'base64');
}

/** Decodes base64url without padding, as JOSE writes it. @throws FormatError `bad-base64`, `too-large` */
export function decodeBase64Url(text: string): Uint8Array {
  return decode(text, 'base64url');
}

export function encodeBase64(bytes: Uint8Array): string {
  return view(bytes).toString('base64');
}

/** OpenSSH's own variant for fingerprints: the standard alphabet without the padding. */
export function encodeBase64Unpadded(bytes: Uint8Array): string {
  const padding = (3 - (bytes.length % 3)) % 3;
  const text = encodeBase64(bytes);
  return padding === 0 ? text : text.slice(0, -padding);
}

export function encodeBase64Url(bytes: Uint8Array): string {
  return view(bytes).toString('base64url');
}

function decode(text: string, encoding: 'base64' | 'base64url'): Uint8Array {
  if (text.length > MAX_TEXT_LENGTH) throw new FormatError('too-large', 'the base64 text is longer than 64 MiB');
  const bytes = Buffer.from(text, encoding);
  // One canonical text for each byte string: whatever the lenient decoder forgave shows here.
  if (bytes.toString(encoding) !== text) throw new FormatError('bad-base64', `the text is not canonical ${encoding}`);
  // A small Buffer is a window on a pool it shares with other people's bytes: what leaves here stands alone.
  return new Uint8Array(bytes);
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
