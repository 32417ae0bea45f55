/**
 * Commands about objects of every type: LIST OBJECTS, GET OBJECT INFO, DELETE OBJECT; and the header that every object
 * is stored with (Yubico, "Object", "List Objects", "Get Object Info").
 */
import { algorithmName, type AlgorithmName, algorithms } from '../algorithms.ts';
import type { Capability, CapabilityBits } from '../capabilities.ts';
import { objectTypeName, objectTypes, type ObjectType } from '../object-types.ts';
import { ByteReader, concat, u16, u64, u8 } from '../wire.ts';
import { type Command, decodeNothing } from './command.ts';

const labelLength = 40;

/** What an object is stored with. Id 0 lets the device choose a free one. */
export interface ObjectHeader {
  id: number;
  /** At most 40 bytes of UTF-8. */
  label: string;
  domains: number;
  capabilities: CapabilityBits;
  algorithm: AlgorithmName;
}

/** One line of LIST OBJECTS. The sequence counts how often an object of this id and type was made. */
export interface ObjectEntry {
  id: number;
  type: ObjectType;
  sequence: number;
}

/** Where an object comes from. */
export interface Origin {
  generated: boolean;
  imported: boolean;
  importedUnderWrap: boolean;
}

/** What GET OBJECT INFO tells. */
export interface ObjectInfo extends ObjectEntry {
  label: string;
  domains: number;
  capabilities: CapabilityBits;
  delegatedCapabilities: CapabilityBits;
  /** Bytes of storage; for an Ed25519 key it depends on the firmware that made it. */
  length: number;
  /** Undefined when the number is newer than this client. */
  algorithm: AlgorithmName | undefined;
  origin: Origin;
}

/** Encodes the 53 bytes of a header. */
export function encodeObjectHeader(header: ObjectHeader): Uint8Array {
  const { id, label, domains, capabilities, algorithm } = header;
  return concat(u16(id), encodeLabel(label), u16(domains), u64(capabilities), u8(algorithms[algorithm]));
}

/** The id with which the device answers to everything that makes an object. */
export function decodeObjectId(answer: Uint8Array): number {
  const reader = new ByteReader(answer, 'object id');
  const id = reader.u16();
  reader.end();
  return id;
}

/** Lists the objects that this session can see, all or those of one type. */
export function listObjects(type?: ObjectType): Command<ObjectEntry[]> {
  const data = type === undefined ? new Uint8Array() : concat(u8(2), u8(objectTypes[type]));
  return { name: 'LIST OBJECTS', effect: 'read', data, needs: [], decode: decodeObjectList };
}

function decodeObjectList(answer: Uint8Array): ObjectEntry[] {
  const reader = new ByteReader(answer, 'LIST OBJECTS');
  const entries: ObjectEntry[] = [];
  while (reader.left > 0) {
    const id = reader.u16();
    const type = objectTypeName(reader.u8());
    const sequence = reader.u8();
    if (type !== undefined) entries.push({ id, type, sequence });
  }
  return entries;
}

/** All that is known of one object. */
export function getObjectInfo(id: number, type: ObjectType): Command<ObjectInfo> {
  const data = concat(u16(id), u8(objectTypes[type]));
  return { name: 'GET OBJECT INFO', effect: 'read', data, needs: [], decode: decodeObjectInfo };
}

function decodeObjectInfo(answer: Uint8Array): ObjectInfo {
  const reader = new ByteReader(answer, 'GET OBJECT INFO');
  const capabilities = reader.u64();
  const id = reader.u16();
  const length = reader.u16();
  const domains = reader.u16();
  const type = objectTypeName(reader.u8());
  if (type === undefined) throw reader.malformed('an object type that is not known');
  const algorithm = algorithmName(reader.u8());
  const sequence = reader.u8();
  const origin = decodeOrigin(reader.u8());
  const label = decodeLabel(reader.bytes(labelLength));
  const delegatedCapabilities = reader.u64();
  reader.end();
  return { id, type, sequence, label, domains, capabilities, delegatedCapabilities, length, algorithm, origin };
}

/** Deletes an object; `needs` names the capability of its type. */
export function deleteObject(id: number, type: ObjectType): Command<void> {
  const needs = [`delete-${type}` as Capability];
  const data = concat(u16(id), u8(objectTypes[type]));
  return { name: 'DELETE OBJECT', effect: 'change', data, needs, decode: decodeNothing };
}

/** Reads the origin byte: 1 generated, 2 imported, with 0x10 when it came in under a wrap key. */
export function decodeOrigin(byte: number): Origin {
  return { generated: (byte & 1) !== 0, imported: (byte & 2) !== 0, importedUnderWrap: (byte & 0x10) !== 0 };
}

function encodeLabel(label: string): Uint8Array {
  const bytes = Buffer.from(label, 'utf8');
  if (bytes.length > labelLength) throw new TypeError(`a label has at most ${labelLength} bytes`);
  const padded = new Uint8Array(labelLength);
  padded.set(bytes);
  return padded;
}

/** Labels are raw bytes: what is not UTF-8 or not printable is shown as the replacement character. */
function decodeLabel(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  const text = Buffer.from(bytes.subarray(0, end < 0 ? labelLength : end)).toString('utf8');
  return text.replaceAll(/\p{C}/gu, '\ufffd');
}
