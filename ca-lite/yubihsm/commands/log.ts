/**
 * Commands of the audit log: GET LOG ENTRIES and SET LOG INDEX (Yubico, "Get Log Entries"). How entries chain is in
 * `../log-chain.ts`.
 */
import { ByteReader, u16 } from '../wire.ts';
import { type Command, decodeNothing } from './command.ts';

/** The bytes of one entry on the wire. */
export const logEntryLength = 32;

/** One entry. Key fields that a command does not use are 0xffff. */
export interface LogEntry {
  number: number;
  command: number;
  /** The length of the command's data. */
  length: number;
  sessionKey: number;
  targetKey: number;
  secondKey: number;
  /** The command with bit 7 set, or the error byte. */
  result: number;
  /** The device's own clock; it has no relation to the time of day. */
  systick: number;
  digest: Uint8Array;
  /** The 16 bytes that the digest covers. */
  covered: Uint8Array;
}

/** What GET LOG ENTRIES tells. */
export interface LogPage {
  unloggedBoots: number;
  unloggedAuthentications: number;
  entries: LogEntry[];
}

/** All entries that are not freed yet, oldest first. */
export function getLogEntries(): Command<LogPage> {
  const needs = ['get-log-entries'] as const;
  return { name: 'GET LOG ENTRIES', effect: 'read', data: new Uint8Array(), needs, decode: decodeLogPage };
}

/** Frees all entries up to and with this number. */
export function setLogIndex(number: number): Command<void> {
  const needs = ['get-log-entries'] as const;
  return { name: 'SET LOG INDEX', effect: 'read', data: u16(number), needs, decode: decodeNothing };
}

function decodeLogPage(answer: Uint8Array): LogPage {
  const reader = new ByteReader(answer, 'GET LOG ENTRIES');
  const unloggedBoots = reader.u16();
  const unloggedAuthentications = reader.u16();
  const count = reader.u8();
  const entries = Array.from({ length: count }, () => decodeLogEntry(reader.bytes(logEntryLength)));
  reader.end();
  return { unloggedBoots, unloggedAuthentications, entries };
}

/** Decodes one entry of 32 bytes. */
export function decodeLogEntry(bytes: Uint8Array): LogEntry {
  const reader = new ByteReader(bytes, 'log entry');
  const entry = {
    number: reader.u16(),
    command: reader.u8(),
    length: reader.u16(),
    sessionKey: reader.u16(),
    targetKey: reader.u16(),
    secondKey: reader.u16(),
    result: reader.u8(),
    systick: reader.u32(),
    digest: new Uint8Array(reader.bytes(16)),
    covered: new Uint8Array(bytes.subarray(0, 16)),
  };
  reader.end();
  return entry;
}
