/** An object as the device keeps it, and the header with which it comes in. */
import { type Cursor, long, short } from './cursor.ts';
import { everyCapability, Refusal } from './numbers.ts';

export interface StoredObject {
  id: number;
  type: number;
  algorithm: number;
  /** 40 bytes. */
  label: Buffer;
  domains: number;
  capabilities: bigint;
  delegated: bigint;
  sequence: number;
  /** 1 generated, 2 imported, 0x10 came in under a wrap key. */
  origin: number;
  /** The secret or content, in the form that GET OBJECT INFO counts and EXPORT WRAPPED writes. */
  value: Buffer;
}

/** What a command that makes an object says first. */
export interface Header {
  id: number;
  label: Buffer;
  domains: number;
  capabilities: bigint;
  algorithm: number;
}

/** Reads the 53 bytes of a header. */
export function readHeader(cursor: Cursor): Header {
  const header = {
    id: cursor.uint16(),
    label: Buffer.from(cursor.take(40)),
    domains: cursor.uint16(),
    capabilities: readCapabilities(cursor),
    algorithm: cursor.uint8(),
  };
  if (header.id === 0xffff) throw new Refusal('invalidId');
  if (header.domains === 0) throw new Refusal('invalidData');
  return header;
}

/** Reads capabilities; bits that no capability has are dropped: clients say "all" with 64 ones. */
export function readCapabilities(cursor: Cursor): bigint {
  return cursor.uint64() & everyCapability;
}

/** Types whose objects hold delegated capabilities in front of their value. */
export function hasDelegated(type: number): boolean {
  return type === 2 || type === 4;
}

/** The length that the device reports. */
export function storedLength(object: StoredObject): number {
  return object.value.length + (hasDelegated(object.type) ? 8 : 0);
}

/** The 66 bytes of GET OBJECT INFO. */
export function describe(object: StoredObject): Buffer {
  return Buffer.concat([
    long(object.capabilities),
    short(object.id),
    short(storedLength(object)),
    short(object.domains),
    Buffer.of(object.type, object.algorithm, object.sequence, object.origin),
    object.label,
    long(object.delegated),
  ]);
}
