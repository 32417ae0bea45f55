/**
 * Commands about the device itself: ECHO, GET DEVICE INFO, GET STORAGE INFO, GET PSEUDO RANDOM, BLINK DEVICE, RESET
 * DEVICE and CLOSE SESSION (Yubico, "Commands").
 */
import { algorithmName, type AlgorithmName } from '../algorithms.ts';
import { HsmError } from '../errors.ts';
import { ByteReader, u16, u8 } from '../wire.ts';
import { type Command, decodeNothing } from './command.ts';

/** What GET DEVICE INFO tells. */
export interface DeviceInfo {
  firmware: readonly [major: number, minor: number, build: number];
  serial: number;
  /** Entries that the audit log holds at most; 62 on every device known. */
  logTotal: number;
  logUsed: number;
  algorithms: AlgorithmName[];
}

/** What GET STORAGE INFO tells. A page has `pageSize` bytes. */
export interface StorageInfo {
  totalRecords: number;
  freeRecords: number;
  totalPages: number;
  freePages: number;
  pageSize: number;
}

/** The device answers with the same bytes; `data` is at most 2021 bytes. */
export function echo(data: Uint8Array): Command<void> {
  const decode = (answer: Uint8Array): void => {
    if (Buffer.compare(answer, data) !== 0) throw new HsmError('answer-malformed', 'ECHO: the answer is not the same');
  };
  return { name: 'ECHO', effect: 'read', data, needs: [], decode };
}

/** Firmware, serial number, log and algorithms. Works inside a session and outside. */
export function getDeviceInfo(): Command<DeviceInfo> {
  return { name: 'GET DEVICE INFO', effect: 'read', data: new Uint8Array(), needs: [], decode: decodeDeviceInfo };
}

function decodeDeviceInfo(answer: Uint8Array): DeviceInfo {
  const reader = new ByteReader(answer, 'GET DEVICE INFO');
  const firmware = [reader.u8(), reader.u8(), reader.u8()] as const;
  const serial = reader.u32();
  const logTotal = reader.u8();
  const logUsed = reader.u8();
  const algorithms = [...reader.rest()].map(algorithmName).filter((name) => name !== undefined);
  return { firmware, serial, logTotal, logUsed, algorithms };
}

/** Records and pages of the object store. */
export function getStorageInfo(): Command<StorageInfo> {
  const decode = (answer: Uint8Array): StorageInfo => {
    const reader = new ByteReader(answer, 'GET STORAGE INFO');
    const info = {
      totalRecords: reader.u16(),
      freeRecords: reader.u16(),
      totalPages: reader.u16(),
      freePages: reader.u16(),
      pageSize: reader.u16(),
    };
    reader.end();
    return info;
  };
  return { name: 'GET STORAGE INFO', effect: 'read', data: new Uint8Array(), needs: [], decode };
}

/** `count` (1 to 2021) random bytes of the device's generator. */
export function getPseudoRandom(count: number): Command<Uint8Array> {
  const decode = (answer: Uint8Array): Uint8Array => {
    if (answer.length !== count) throw new HsmError('answer-malformed', 'GET PSEUDO RANDOM: not the length asked for');
    return new Uint8Array(answer);
  };
  return { name: 'GET PSEUDO RANDOM', effect: 'read', data: u16(count), needs: ['get-pseudo-random'], decode };
}

/** Lets the device's light blink for `seconds` (0 to 255), so that a person finds it. */
export function blinkDevice(seconds: number): Command<void> {
  return { name: 'BLINK DEVICE', effect: 'read', data: u8(seconds), needs: [], decode: decodeNothing };
}

/** Deletes everything on the device and restarts it; the connection may break instead of an answer. */
export function resetDevice(): Command<void> {
  const data = new Uint8Array();
  return { name: 'RESET DEVICE', effect: 'change', data, needs: ['reset-device'], decode: decodeNothing };
}

/** Gives the session's slot back. */
export function closeSession(): Command<void> {
  return { name: 'CLOSE SESSION', effect: 'change', data: new Uint8Array(), needs: [], decode: decodeNothing };
}

/** Compares firmware with a version: negative when older, 0 when the same, positive when newer. */
export function compareFirmware(firmware: readonly number[], version: readonly number[]): number {
  for (const [index, wanted] of version.entries()) {
    const difference = (firmware[index] ?? 0) - wanted;
    if (difference !== 0) return difference;
  }
  return 0;
}
