/**
 * SCP03 as the YubiHSM uses it: key derivation and cryptograms of a session (GlobalPlatform Card Technology,
 * Secure Channel Protocol '03', section 4.1.5 and 6.2; Yubico, "Session"). Pure.
 *
 * Symmetric authentication only: asymmetric authentication (algorithm 49) is not implemented.
 */
import { pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { aesCmac } from './aes-cmac.ts';
import { concat, u16, u8 } from './wire.ts';

/** The length of host and card challenge. */
export const challengeLength = 8;
/** The length of cryptograms, and of MACs on the wire. */
export const macLength = 8;

/** The two long-lived keys of an authentication key object, 16 bytes each. */
export interface AuthenticationKeys {
  enc: Uint8Array;
  mac: Uint8Array;
}

/** The keys of one session, 16 bytes each. */
export interface SessionKeys {
  enc: Uint8Array;
  mac: Uint8Array;
  rmac: Uint8Array;
}

/** Derivation constants: GlobalPlatform's, the last byte of the label. */
const constants = { cardCryptogram: 0x00, hostCryptogram: 0x01, enc: 0x04, mac: 0x06, rmac: 0x07 } as const;

/**
 * The keys that belong to a password: PBKDF2-HMAC-SHA256, salt `Yubico`, 10,000 rounds, as every Yubico tool does.
 */
export async function keysFromPassword(password: Uint8Array | string): Promise<AuthenticationKeys> {
  const bytes = await promisify(pbkdf2)(password, 'Yubico', 10_000, 32, 'sha256');
  return { enc: new Uint8Array(bytes.subarray(0, 16)), mac: new Uint8Array(bytes.subarray(16)) };
}

/** Derives the keys of a session from the long-lived keys and both challenges (8 bytes each). */
export function deriveSessionKeys(keys: AuthenticationKeys, host: Uint8Array, card: Uint8Array): SessionKeys {
  return {
    enc: derive(keys.enc, constants.enc, host, card, 16),
    mac: derive(keys.mac, constants.mac, host, card, 16),
    rmac: derive(keys.mac, constants.rmac, host, card, 16),
  };
}

/** The 8 bytes with which the device proves that it knows the authentication key. */
export function cardCryptogram(keys: SessionKeys, host: Uint8Array, card: Uint8Array): Uint8Array {
  return derive(keys.mac, constants.cardCryptogram, host, card, 8);
}

/** The 8 bytes with which we prove that we know the authentication key. */
export function hostCryptogram(keys: SessionKeys, host: Uint8Array, card: Uint8Array): Uint8Array {
  return derive(keys.mac, constants.hostCryptogram, host, card, 8);
}

/** Compares secrets of equal purpose in constant time; a different length is a difference. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function derive(key: Uint8Array, constant: number, host: Uint8Array, card: Uint8Array, length: 8 | 16): Uint8Array {
  const label = new Uint8Array(12);
  label[11] = constant;
  const input = concat(label, u8(0), u16(length * 8), u8(1), host, card);
  return aesCmac(key, input).subarray(0, length);
}
