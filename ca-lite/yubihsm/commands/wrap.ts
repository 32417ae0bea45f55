/**
 * Commands of wrap keys: put, export an object under one, import it again (Yubico, "Put Wrap Key", "Export Wrapped",
 * "Import Wrapped"). AES-CCM wrap keys only.
 */
import type { CapabilityBits } from '../capabilities.ts';
import { objectTypeName, objectTypes, type ObjectType } from '../object-types.ts';
import { ByteReader, concat, u16, u64, u8 } from '../wire.ts';
import type { Command } from './command.ts';
import { decodeObjectId, encodeObjectHeader, type ObjectHeader } from './objects.ts';

const wrapAlgorithms = { 16: 'aes128-ccm-wrap', 24: 'aes192-ccm-wrap', 32: 'aes256-ccm-wrap' } as const;

/** A wrap key's header: objects travel under it only when their capabilities are among `delegated`. */
export interface WrapKeyHeader extends Omit<ObjectHeader, 'algorithm'> {
  delegated: CapabilityBits;
}

/** Stores a wrap key of 16, 24 or 32 bytes. */
export function putWrapKey(header: WrapKeyHeader, key: Uint8Array): Command<number> {
  const algorithm = wrapAlgorithms[key.length as 16 | 24 | 32];
  if (algorithm === undefined) throw new TypeError('a wrap key has 16, 24 or 32 bytes');
  const data = concat(encodeObjectHeader({ ...header, algorithm }), u64(header.delegated), key);
  return { name: 'PUT WRAP KEY', effect: 'change', data, needs: ['put-wrap-key'], decode: decodeObjectId };
}

/** An object, encrypted: `nonce(13) | ciphertext | tag(16)`. */
export function exportWrapped(wrapKeyId: number, type: ObjectType, id: number): Command<Uint8Array> {
  const data = concat(u16(wrapKeyId), u8(objectTypes[type]), u16(id));
  const decode = (answer: Uint8Array): Uint8Array => {
    if (answer.length < minWrapped) throw new ByteReader(answer, 'EXPORT WRAPPED').malformed('cut short');
    return new Uint8Array(answer);
  };
  return { name: 'EXPORT WRAPPED', effect: 'read', data, needs: ['export-wrapped'], decode };
}

/** The least that a wrapped object has: nonce, tag, and the 59 bytes in front of the object's own. */
export const minWrapped = 13 + 59 + 16;

/** Puts an exported object back; the device answers with what it was. */
export function importWrapped(wrapKeyId: number, wrapped: Uint8Array): Command<{ type: ObjectType; id: number }> {
  const decode = (answer: Uint8Array): { type: ObjectType; id: number } => {
    const reader = new ByteReader(answer, 'IMPORT WRAPPED');
    const type = objectTypeName(reader.u8());
    const id = reader.u16();
    reader.end();
    if (type === undefined) throw reader.malformed('an object type that is not known');
    return { type, id };
  };
  const data = concat(u16(wrapKeyId), wrapped);
  return { name: 'IMPORT WRAPPED', effect: 'change', data, needs: ['import-wrapped'], decode };
}
