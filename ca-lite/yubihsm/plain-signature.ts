/**
 * The plain way to sign: a hash or a message in, a raw signature out, and the device checks nothing but capabilities.
 * Which command signs with which kind of key, and how its answer becomes an SSH signature. Pure.
 */
import { createHash } from 'node:crypto';
import type { SignatureAlgorithm } from '#openssh/key-type.ts';
import type { Signature } from '#openssh/signature.ts';
import { WireWriter } from '#openssh/wire.ts';
import { type KeyKind, keyKinds } from './algorithms.ts';
import { signEcdsa, signEddsa, signPkcs1 } from './commands/asymmetric.ts';
import type { Command } from './commands/command.ts';
import { ByteReader } from './wire.ts';

/** The command that signs `data` with a key. `algorithm` chooses the hash of RSA. */
export function plainSignCommand(
  keyId: number,
  kind: KeyKind,
  algorithm: SignatureAlgorithm,
  data: Uint8Array,
): Command<Uint8Array> {
  const facts = keyKinds[kind];
  switch (facts.family) {
    case 'ed25519':
      return signEddsa(keyId, data);
    case 'ecdsa':
      return signEcdsa(keyId, digest(facts.hash, data));
    case 'rsa':
      return signPkcs1(keyId, digest(algorithm === 'rsa-sha2-256' ? 'sha256' : 'sha512', data));
  }
}

/** The SSH signature of what the device answered. Throws `answer-malformed` for an ECDSA answer that is not DER. */
export function plainSignature(kind: KeyKind, algorithm: SignatureAlgorithm, answer: Uint8Array): Signature {
  if (keyKinds[kind].family !== 'ecdsa') return { algorithm, blob: answer };
  const { r, s } = decodeDerSignature(answer);
  return { algorithm, blob: new WireWriter(answer.length + 16).mpint(r).mpint(s).finish() };
}

/**
 * `SEQUENCE { INTEGER r, INTEGER s }` in DER, as magnitudes without leading zeros. Refused: what is not positive, not
 * minimal, or has anything behind it.
 */
export function decodeDerSignature(der: Uint8Array): { r: Uint8Array; s: Uint8Array } {
  const reader = new ByteReader(der, 'SIGN ECDSA');
  const sequence = derValue(reader, 0x30);
  reader.end();
  const r = derInteger(sequence);
  const s = derInteger(sequence);
  sequence.end();
  return { r, s };
}

function derInteger(reader: ByteReader): Uint8Array {
  const value = derValue(reader, 0x02);
  const bytes = value.rest();
  const [first = 0x80, second = 0x80] = bytes;
  const negative = first >= 0x80;
  const padded = first === 0 && second < 0x80;
  if (negative || padded) throw value.malformed('not a positive integer in DER');
  return bytes.subarray(first === 0 ? 1 : 0);
}

function derValue(reader: ByteReader, tag: number): ByteReader {
  if (reader.u8() !== tag) throw reader.malformed('not DER');
  const short = reader.u8();
  if (short !== 0x81 && short >= 0x80) throw reader.malformed('not DER');
  const length = short === 0x81 ? reader.u8() : short;
  if (short === 0x81 && length < 0x80) throw reader.malformed('not DER');
  return new ByteReader(reader.bytes(length), 'SIGN ECDSA');
}

function digest(hash: 'sha256' | 'sha384' | 'sha512', data: Uint8Array): Uint8Array {
  return new Uint8Array(createHash(hash).update(data).digest());
}
