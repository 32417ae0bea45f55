/**
 * The SSH template of the YubiHSM: which CA keys may sign under it, how far a certificate's validity may lie from a
 * signed timestamp, and which principals are forbidden. Encode beside decode. Pure.
 *
 * Yubico, "OpenSSH certificates"; `examples/ssh.c`. Form: `tag(1) | length(2) | value`, tags ascending.
 *
 * Refused on purpose: tags twice, out of order or unknown; a timestamp key other than RSA-2048, since SIGN SSH CERTIFICATE
 * has room for 256 bytes of its signature only; a not-after offset that means "for ever".
 */
import { algorithms } from './algorithms.ts';
import { ByteReader, concat, u16, u32, u8 } from './wire.ts';

/** A not-after offset that some read as "no limit". Never used here. */
export const unlimitedOffset = 0xffff_ffff;

const tags = {
  timestampAlgorithm: 1,
  timestampKey: 2,
  caKeys: 3,
  notBefore: 4,
  notAfter: 5,
  blacklist: 6,
} as const;

/** What a template says. */
export interface SshTemplate {
  /** The modulus of the RSA-2048 key that signs timestamps: 256 bytes, the first bit set. Its exponent is 65537. */
  timestampModulus: Uint8Array;
  /** Object ids of the CA keys that may sign under this template; at least one. */
  caKeyIds: readonly number[];
  /** Seconds, 0 to 2^32 - 1. */
  notBeforeOffsetSeconds: number;
  /** Seconds, 0 to 2^32 - 1. */
  notAfterOffsetSeconds: number;
  /** Principals that no certificate may carry. */
  forbiddenPrincipals: readonly string[];
}

/** Encodes a template. Throws TypeError for one that this product does not use. */
export function encodeSshTemplate(template: SshTemplate): Uint8Array {
  if (template.notAfterOffsetSeconds === unlimitedOffset) throw new TypeError('a template needs a finite lifetime');
  if (template.timestampModulus.length !== 256 || template.timestampModulus[0]! < 0x80) {
    throw new TypeError('the timestamp key must be RSA with 2048 bits');
  }
  if (template.caKeyIds.length === 0) throw new TypeError('a template needs a CA key');
  return concat(
    field(tags.timestampAlgorithm, u8(algorithms.rsa2048)),
    field(tags.timestampKey, template.timestampModulus),
    field(tags.caKeys, concat(...template.caKeyIds.map(u16))),
    field(tags.notBefore, u32(template.notBeforeOffsetSeconds)),
    field(tags.notAfter, u32(template.notAfterOffsetSeconds)),
    field(tags.blacklist, concat(...template.forbiddenPrincipals.map(encodePrincipal))),
  );
}

/** Decodes a template. Throws `answer-malformed`. Accepts any finite or unlimited offsets: it tells what is stored. */
export function decodeSshTemplate(bytes: Uint8Array): SshTemplate {
  const reader = new ByteReader(bytes, 'SSH template');
  const algorithm = fieldReader(reader, tags.timestampAlgorithm);
  if (algorithm.u8() !== algorithms.rsa2048) throw algorithm.malformed('the timestamp key is not RSA-2048');
  algorithm.end();
  const timestampModulus = new Uint8Array(fieldReader(reader, tags.timestampKey).rest());
  if (timestampModulus.length !== 256) throw reader.malformed('the timestamp key is not RSA-2048');
  const caKeyIds = decodeIds(fieldReader(reader, tags.caKeys));
  const notBeforeOffsetSeconds = decodeSeconds(fieldReader(reader, tags.notBefore));
  const notAfterOffsetSeconds = decodeSeconds(fieldReader(reader, tags.notAfter));
  const forbiddenPrincipals = reader.left === 0 ? [] : decodePrincipals(fieldReader(reader, tags.blacklist));
  reader.end();
  return { timestampModulus, caKeyIds, notBeforeOffsetSeconds, notAfterOffsetSeconds, forbiddenPrincipals };
}

function field(tag: number, value: Uint8Array): Uint8Array {
  return concat(u8(tag), u16(value.length), value);
}

function fieldReader(reader: ByteReader, tag: number): ByteReader {
  if (reader.u8() !== tag) throw reader.malformed(`tag ${tag} is not where it belongs`);
  return new ByteReader(reader.bytes(reader.u16()), 'SSH template');
}

function decodeIds(reader: ByteReader): number[] {
  if (reader.left % 2 !== 0) throw reader.malformed('half an object id');
  return Array.from({ length: reader.left / 2 }, () => reader.u16());
}

function decodeSeconds(reader: ByteReader): number {
  const seconds = reader.u32();
  reader.end();
  return seconds;
}

function encodePrincipal(principal: string): Uint8Array {
  if (principal === '' || principal.includes('\0'))
    throw new TypeError('a forbidden principal is empty or holds a NUL');
  return concat(Buffer.from(principal, 'utf8'), u8(0));
}

function decodePrincipals(reader: ByteReader): string[] {
  const bytes = reader.rest();
  if (bytes.length === 0) return [];
  if (bytes.at(-1) !== 0) throw reader.malformed('a principal has no end');
  return Buffer.from(bytes.subarray(0, -1)).toString('utf8').split('\0');
}
