/**
 * The messages of an SCP03 session: AUTHENTICATE SESSION, and SESSION MESSAGE with its answer. Pure: each step takes the
 * channel's state and returns the next one. `lib/yubihsm.c`, functions `compute_full_mac`, `_send_secure_msg`.
 *
 * Encryption is AES-128-CBC with the IV AES-ECB(S-ENC, counter); MACs are the first 8 bytes of an AES-CMAC whose full
 * 16 bytes chain from command to command. The MAC of an answer does not move the chain.
 *
 * Refused on purpose: an answer whose MAC is not checked first, padding that is not exactly 80 00*, and a refusal in
 * plain text taken for an authenticated one (the caller gets it as {@link PlainRefusal}).
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { aesCmac } from './aes-cmac.ts';
import { HsmError } from './errors.ts';
import { decodeFrame, encodeFrame, refusalOf } from './frame.ts';
import { macLength, sameBytes, type SessionKeys } from './scp03.ts';
import { ByteReader, concat, u16, u8 } from './wire.ts';

const authenticateSession = 0x04;
const sessionMessage = 0x05;
const blockSize = 16;

/** The state of one session between two commands. */
export interface Channel {
  readonly sessionId: number;
  readonly keys: SessionKeys;
  /** Number of the next command; the first is 1. */
  readonly counter: number;
  /** The full CMAC of the last command. */
  readonly chain: Uint8Array;
}

/** A refusal of the session layer. It is not authenticated: whoever sits between may have written it. */
export interface PlainRefusal {
  plainRefusal: number;
}

/** The AUTHENTICATE SESSION message, and the state of the channel after it. */
export function authenticate(
  sessionId: number,
  keys: SessionKeys,
  cryptogram: Uint8Array,
): { message: Uint8Array; channel: Channel } {
  const data = concat(u8(sessionId), cryptogram);
  const { message, chain } = sign(authenticateSession, keys.mac, new Uint8Array(16), data);
  return { message, channel: { sessionId, keys, counter: 1, chain } };
}

/** Encrypts a command. The returned channel belongs to the answer of this very command. */
export function seal(channel: Channel, inner: Uint8Array): { message: Uint8Array; channel: Channel } {
  const cipher = createCipheriv('aes-128-cbc', channel.keys.enc, ivOf(channel)).setAutoPadding(false);
  const data = concat(u8(channel.sessionId), cipher.update(pad(inner)));
  const { message, chain } = sign(sessionMessage, channel.keys.mac, channel.chain, data);
  return { message, channel: { ...channel, chain } };
}

/**
 * Decrypts the answer to the command that {@link seal} encrypted, and returns the state for the next command. Throws
 * {@link HsmError} `answer-mac-mismatch` or `answer-malformed`.
 */
export function open(channel: Channel, answer: Uint8Array): { inner: Uint8Array; channel: Channel } | PlainRefusal {
  const frame = decodeFrame(answer);
  const refusal = refusalOf(frame);
  if (refusal !== undefined) return { plainRefusal: refusal };
  const reader = new ByteReader(frame.data, 'session answer');
  if (frame.command !== (sessionMessage | 0x80)) throw reader.malformed('not a session message');
  if (reader.u8() !== channel.sessionId) throw reader.malformed('of another session');
  const encrypted = reader.bytes(Math.max(0, reader.left - macLength));
  checkMac(channel, answer, reader.rest());
  if (encrypted.length === 0 || encrypted.length % blockSize !== 0) throw reader.malformed('not whole blocks');
  const decipher = createDecipheriv('aes-128-cbc', channel.keys.enc, ivOf(channel)).setAutoPadding(false);
  const inner = unpad(decipher.update(encrypted));
  return { inner, channel: { ...channel, counter: channel.counter + 1 } };
}

function checkMac(channel: Channel, answer: Uint8Array, mac: Uint8Array): void {
  const signed = answer.subarray(0, answer.length - macLength);
  const expected = aesCmac(channel.keys.rmac, concat(channel.chain, signed)).subarray(0, macLength);
  if (!sameBytes(mac, expected)) {
    throw new HsmError('answer-mac-mismatch', 'the answer of the device is not authentic: it was dropped');
  }
}

/** Frames data that a MAC follows; the length in the header counts the MAC. */
function sign(
  command: number,
  key: Uint8Array,
  previous: Uint8Array,
  data: Uint8Array,
): { message: Uint8Array; chain: Uint8Array } {
  const signed = concat(u8(command), u16(data.length + macLength), data);
  const chain = aesCmac(key, concat(previous, signed));
  return { message: concat(signed, chain.subarray(0, macLength)), chain };
}

function ivOf(channel: Channel): Uint8Array {
  const block = new Uint8Array(blockSize);
  new DataView(block.buffer).setBigUint64(8, BigInt(channel.counter));
  return createCipheriv('aes-128-ecb', channel.keys.enc, null).setAutoPadding(false).update(block);
}

function pad(inner: Uint8Array): Uint8Array {
  const padded = new Uint8Array((Math.floor(inner.length / blockSize) + 1) * blockSize);
  padded.set(inner);
  padded[inner.length] = 0x80;
  return padded;
}

function unpad(padded: Uint8Array): Uint8Array {
  const end = padded.lastIndexOf(0x80);
  const tailIsZero = end >= 0 && padded.subarray(end + 1).every((byte) => byte === 0);
  if (!tailIsZero || padded.length - end > blockSize) {
    throw new HsmError('answer-malformed', 'session answer: malformed (padding)');
  }
  return new Uint8Array(padded.subarray(0, end));
}

/** Encodes a command and encrypts it: {@link encodeFrame} and {@link seal} in one step. */
export function sealCommand(
  channel: Channel,
  command: number,
  data: Uint8Array,
): { message: Uint8Array; channel: Channel } {
  return seal(channel, encodeFrame(command, data));
}
