/**
 * Commands of asymmetric keys: generate, put, read the public half, sign, attest (Yubico, "Generate Asymmetric Key",
 * "Put Asymmetric Key", "Get Public Key", "Sign Pkcs1", "Sign Ecdsa", "Sign Eddsa", "Sign Attestation Certificate").
 */
import { isKeyKind, algorithmName, keyKinds, type KeyKind } from '../algorithms.ts';
import { HsmError } from '../errors.ts';
import { ByteReader, concat, u16 } from '../wire.ts';
import type { Command } from './command.ts';
import { decodeObjectId, encodeObjectHeader, type ObjectHeader } from './objects.ts';

/** The raw public half of a key: modulus, X and Y, or the 32 bytes of Ed25519. The RSA exponent is always 65537. */
export interface RawPublicKey {
  kind: KeyKind;
  bytes: Uint8Array;
}

/** An asymmetric key's header. */
export interface AsymmetricHeader extends ObjectHeader {
  algorithm: KeyKind;
}

/** Makes a key inside the device. RSA keys can take minutes, in which the device does nothing else. */
export function generateAsymmetricKey(header: AsymmetricHeader): Command<number> {
  const data = encodeObjectHeader(header);
  const needs = ['generate-asymmetric-key'] as const;
  return { name: 'GENERATE ASYMMETRIC KEY', effect: 'change', data, needs, decode: decodeObjectId };
}

/**
 * Puts a private key into the device: RSA the primes p and q, each half as long as the modulus; EC the scalar, as long as
 * the curve; Ed25519 the 32-byte seed.
 */
export function putAsymmetricKey(header: AsymmetricHeader, privateKey: Uint8Array): Command<number> {
  const wanted = privateLength(header.algorithm);
  if (privateKey.length !== wanted) throw new TypeError(`a private key of ${header.algorithm} has ${wanted} bytes`);
  const data = concat(encodeObjectHeader(header), privateKey);
  return { name: 'PUT ASYMMETRIC KEY', effect: 'change', data, needs: ['put-asymmetric-key'], decode: decodeObjectId };
}

function privateLength(kind: KeyKind): number {
  const { family, publicLength } = keyKinds[kind];
  return family === 'ecdsa' ? publicLength / 2 : publicLength;
}

/** The public half of an asymmetric key. */
export function getPublicKey(id: number): Command<RawPublicKey> {
  const decode = (answer: Uint8Array): RawPublicKey => {
    const reader = new ByteReader(answer, 'GET PUBLIC KEY');
    const kind = algorithmName(reader.u8());
    if (!isKeyKind(kind)) throw reader.malformed('a kind of key that SSH does not use');
    const bytes = new Uint8Array(reader.bytes(keyKinds[kind].publicLength));
    reader.end();
    return { kind, bytes };
  };
  return { name: 'GET PUBLIC KEY', effect: 'read', data: u16(id), needs: [], decode };
}

/** RSASSA-PKCS1-v1_5 over a hash of 32 or 64 bytes: the device puts SHA-256 or SHA-512 in front. */
export function signPkcs1(id: number, hash: Uint8Array): Command<Uint8Array> {
  if (hash.length !== 32 && hash.length !== 64) throw new TypeError('SSH signs RSA over SHA-256 or SHA-512');
  const decode = (answer: Uint8Array): Uint8Array => {
    if (![256, 384, 512].includes(answer.length)) throw badSignature('SIGN PKCS1');
    return new Uint8Array(answer);
  };
  return { name: 'SIGN PKCS1', effect: 'sign', data: concat(u16(id), hash), needs: ['sign-pkcs'], decode };
}

/** ECDSA over a hash as long as the curve wants it; the answer is a DER signature. */
export function signEcdsa(id: number, hash: Uint8Array): Command<Uint8Array> {
  const decode = (answer: Uint8Array): Uint8Array => {
    if (answer.length < 8 || answer.length > 141 || answer[0] !== 0x30) throw badSignature('SIGN ECDSA');
    return new Uint8Array(answer);
  };
  return { name: 'SIGN ECDSA', effect: 'sign', data: concat(u16(id), hash), needs: ['sign-ecdsa'], decode };
}

/** Pure Ed25519 over the message itself, which must fit into one command; the answer has 64 bytes. */
export function signEddsa(id: number, message: Uint8Array): Command<Uint8Array> {
  const decode = (answer: Uint8Array): Uint8Array => {
    if (answer.length !== 64) throw badSignature('SIGN EDDSA');
    return new Uint8Array(answer);
  };
  return { name: 'SIGN EDDSA', effect: 'sign', data: concat(u16(id), message), needs: ['sign-eddsa'], decode };
}

/** An X.509 certificate (DER) in which the device states what it knows of a key; attesting id 0 is the built-in key. */
export function signAttestationCertificate(id: number, attestingId = 0): Command<Uint8Array> {
  const decode = (answer: Uint8Array): Uint8Array => new Uint8Array(answer);
  return {
    name: 'SIGN ATTESTATION CERTIFICATE',
    effect: 'read',
    data: concat(u16(id), u16(attestingId)),
    needs: ['sign-attestation-certificate'],
    decode,
  };
}

function badSignature(name: string): HsmError {
  return new HsmError('answer-malformed', `${name}: the answer has not the length of a signature`);
}
