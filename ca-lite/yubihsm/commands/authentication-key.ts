/**
 * Commands of authentication keys: PUT and CHANGE (Yubico, "Put Authentication Key", "Change Authentication Key").
 * Symmetric keys only.
 */
import { algorithms } from '../algorithms.ts';
import type { CapabilityBits } from '../capabilities.ts';
import type { AuthenticationKeys } from '../scp03.ts';
import { concat, u16, u64, u8 } from '../wire.ts';
import type { Command } from './command.ts';
import { decodeObjectId, encodeObjectHeader, type ObjectHeader } from './objects.ts';

const algorithm = 'aes128-yubico-authentication';

/** An authentication key's header: `delegated` limits what the objects that it makes may do. */
export interface AuthenticationKeyHeader extends Omit<ObjectHeader, 'algorithm'> {
  delegated: CapabilityBits;
}

/** Stores a new authentication key. */
export function putAuthenticationKey(header: AuthenticationKeyHeader, keys: AuthenticationKeys): Command<number> {
  const data = concat(encodeObjectHeader({ ...header, algorithm }), u64(header.delegated), keys.enc, keys.mac);
  const needs = ['put-authentication-key'] as const;
  return { name: 'PUT AUTHENTICATION KEY', effect: 'change', data, needs, decode: decodeObjectId };
}

/** Gives the authentication key that opened this session new keys. Close the session afterwards. */
export function changeAuthenticationKey(id: number, keys: AuthenticationKeys): Command<number> {
  const data = concat(u16(id), u8(algorithms[algorithm]), keys.enc, keys.mac);
  const needs = ['change-authentication-key'] as const;
  return { name: 'CHANGE AUTHENTICATION KEY', effect: 'change', data, needs, decode: decodeObjectId };
}
