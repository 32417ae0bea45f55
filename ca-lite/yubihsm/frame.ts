/**
 * Message framing: `command(1) | length(2) | data`. A good answer has the command with bit 7 set, a refusal is
 * `7f 0001 code`. Yubico, "Commands"; `lib/yubihsm.c`.
 *
 * Refused on purpose: an answer with anything behind its data, an answer to another command.
 */
import { HsmDeviceError, HsmError } from './errors.ts';
import { ByteReader, concat, u16, u8 } from './wire.ts';

/** The largest whole message before firmware 2.4. */
export const maxMessageOldFirmware = 2048;
/** The largest whole message from firmware 2.4 on. */
export const maxMessage = 3136;
/**
 * What may safely be sent as the data of a command inside a session on firmware before 2.4; Yubico's device tests prove
 * this number and no greater one.
 */
export const safeDataOldFirmware = 2021;
/**
 * What may be sent as the data of a command inside a session from firmware 2.4 on: 12 bytes go for header, session id
 * and MAC, the rest is whole blocks, in which one byte of padding and the inner header must fit.
 */
export const safeDataNewFirmware = Math.floor((maxMessage - 12) / 16) * 16 - 1 - 3;

const answerBit = 0x80;
const errorAnswer = 0x7f;

/** A message in either direction. */
export interface Frame {
  command: number;
  data: Uint8Array;
}

/** Encodes a command. Throws TypeError when the data is longer than any firmware takes. */
export function encodeFrame(command: number, data: Uint8Array): Uint8Array {
  if (data.length > maxMessage - 3) throw new TypeError(`${data.length} bytes are too many for a message`);
  return concat(u8(command), u16(data.length), data);
}

/** Decodes a message of exactly this length. Throws {@link HsmError} `answer-malformed`. */
export function decodeFrame(bytes: Uint8Array, what = 'answer of the device'): Frame {
  if (bytes.length > maxMessage) throw new HsmError('answer-malformed', `${what}: longer than ${maxMessage} bytes`);
  const reader = new ByteReader(bytes, what);
  const command = reader.u8();
  const data = reader.bytes(reader.u16());
  reader.end();
  return { command, data };
}

/**
 * Decodes the answer to a command and returns its data. Throws {@link HsmDeviceError} for a refusal, and
 * {@link HsmError} `answer-malformed` for an answer to something else.
 */
export function decodeAnswer(bytes: Uint8Array, command: number, name: string): Uint8Array {
  const frame = decodeFrame(bytes, `answer to ${name}`);
  const refusal = refusalOf(frame);
  if (refusal !== undefined) throw new HsmDeviceError(refusal, name);
  if (frame.command !== (command | answerBit)) {
    throw new HsmError('answer-malformed', `answer to ${name}: it answers another command`);
  }
  return frame.data;
}

/** The error byte of a refusal; undefined for any other message. */
export function refusalOf(frame: Frame): number | undefined {
  return frame.command === errorAnswer && frame.data.length === 1 ? frame.data[0] : undefined;
}
