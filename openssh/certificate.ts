/**
 * OpenSSH certificates (draft-ietf-sshm-cert, formerly OpenSSH PROTOCOL.certkeys), version 01: decode, encode, assemble.
 * Decoding keeps the exact bytes that the CA signed, so a verification never depends on our re-encoding.
 * Refused on purpose, in both directions: a CA key that is a certificate, unknown certificate types (neither user nor host),
 * doubled options. Refused when making one: no principals, infinite or empty validity, characters in principals that sshd
 * or a shell would split on. Whether a certificate is *acceptable* is decided in `certificate-check.ts`.
 */
import { FormatError } from './format-error.ts';
import { MAX_ALGORITHM_NAME_LENGTH, certifiedKeyTypeNamed, keyTypes } from './key-type.ts';
import {
  type PublicKey,
  MAX_PUBLIC_KEY_LENGTH,
  decodePublicKey,
  readPublicKeyFields,
  writePublicKey,
  writePublicKeyFields,
} from './public-key.ts';
import { type Signature, MAX_SIGNATURE_LENGTH, decodeSignature, verifySignature, writeSignature } from './signature.ts';
import { WireReader, WireWriter, decodeText } from './wire.ts';

/** OpenSSH reads no larger certificate from a file line; ours stay near 1 KiB. */
export const MAX_CERTIFICATE_LENGTH = 256 * 1024;
/** SSHKEY_CERT_MAX_PRINCIPALS of OpenSSH. */
export const MAX_PRINCIPALS = 256;
const MAX_PRINCIPAL_LENGTH = 1024;
const MAX_KEY_ID_LENGTH = 16 * 1024;
const MAX_NONCE_LENGTH = 1024;
const MAX_OPTIONS = 256;
const MAX_OPTIONS_LENGTH = 64 * 1024;

/** "Forever" in `validBefore`: understood when read, never issued. */
export const INFINITE_VALIDITY = 0xffff_ffff_ffff_ffffn;

export type CertificateType = 'user' | 'host';
const typeNumbers: Readonly<Record<CertificateType, number>> = { user: 1, host: 2 };

/** A critical option or extension. `data` is what the wire holds: empty for a flag, else usually one nested string. */
export interface CertificateOption {
  readonly name: string;
  readonly data: Uint8Array;
}

export interface CertificateFields {
  readonly key: PublicKey;
  readonly type: CertificateType;
  readonly serial: bigint;
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Epoch seconds, inclusive. */
  readonly validAfter: bigint;
  /** Epoch seconds, exclusive. */
  readonly validBefore: bigint;
  readonly criticalOptions: readonly CertificateOption[];
  readonly extensions: readonly CertificateOption[];
  /** Random bytes chosen by the CA, 16 to 64 of them, so that nobody else chooses what is signed. */
  readonly nonce: Uint8Array;
  readonly signatureKey: PublicKey;
}

export interface Certificate extends CertificateFields {
  /** The whole certificate. */
  readonly blob: Uint8Array;
  /** The prefix of `blob` that the CA signed. */
  readonly signedBytes: Uint8Array;
  readonly signature: Signature;
}

/** An option with one text value, e.g. `force-command`. */
export function textOption(name: string, value: string): CertificateOption {
  return { name, data: new WireWriter(value.length + 8).string(value).finish() };
}

/** An option that is only there or not, e.g. `permit-pty`. */
export function flagOption(name: string): CertificateOption {
  return { name, data: new Uint8Array() };
}

/** The text inside an option's data; undefined when it is not exactly one text. */
export function optionText(option: CertificateOption): string | undefined {
  try {
    const reader = new WireReader(option.data);
    const text = reader.text(MAX_OPTIONS_LENGTH);
    reader.end();
    return text;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** @throws FormatError. The signature is parsed, not verified: see `verifyCertificateSignature`. */
export function decodeCertificate(blob: Uint8Array): Certificate {
  if (blob.length > MAX_CERTIFICATE_LENGTH)
    throw new FormatError('too-large', 'the certificate is longer than 256 KiB');
  const reader = new WireReader(blob);
  const fields = readFields(reader);
  const signedBytes = blob.subarray(0, reader.offset);
  const signature = decodeSignature(fields.signatureKey.type, reader.string(MAX_SIGNATURE_LENGTH));
  reader.end();
  return { ...fields, blob, signedBytes, signature };
}

/** Reads back what {@link encodeToBeSigned} made: a certificate without its signature. @throws FormatError */
export function decodeToBeSigned(toBeSigned: Uint8Array): CertificateFields {
  if (toBeSigned.length > MAX_CERTIFICATE_LENGTH)
    throw new FormatError('too-large', 'the certificate is longer than 256 KiB');
  const reader = new WireReader(toBeSigned);
  const fields = readFields(reader);
  reader.end();
  return fields;
}

function readFields(reader: WireReader): CertificateFields {
  const keyType = certifiedKeyTypeNamed(reader.text(MAX_ALGORITHM_NAME_LENGTH));
  const nonce = reader.string(MAX_NONCE_LENGTH);
  const key = readPublicKeyFields(keyType, reader);
  const serial = reader.uint64();
  const type = typeNumbered(reader.uint32());
  const keyId = reader.text(MAX_KEY_ID_LENGTH);
  const principals = readPrincipals(reader.nested(MAX_PRINCIPALS * (MAX_PRINCIPAL_LENGTH + 4)));
  const validAfter = reader.uint64();
  const validBefore = reader.uint64();
  const criticalOptions = readOptions(reader.nested(MAX_OPTIONS_LENGTH));
  const extensions = readOptions(reader.nested(MAX_OPTIONS_LENGTH));
  reader.string(MAX_OPTIONS_LENGTH); // reserved: present, signed, ignored (draft-ietf-sshm-cert, "reserved")
  const signatureKey = decodePublicKey(reader.string(MAX_PUBLIC_KEY_LENGTH));
  return {
    key,
    type,
    serial,
    keyId,
    principals,
    validAfter,
    validBefore,
    criticalOptions,
    extensions,
    nonce,
    signatureKey,
  };
}

/**
 * The bytes for the CA to sign. Options are sorted here.
 * @throws TypeError for fields that must never be signed: no principals, unusable principals, infinite or empty validity,
 *   serial 0, a short nonce, or a key ID or options longer than `decodeCertificate` reads
 */
export function encodeToBeSigned(fields: CertificateFields): Uint8Array {
  assertIssuable(fields);
  const writer = new WireWriter(1024).string(keyTypes[fields.key.type].certificateType).string(fields.nonce);
  writePublicKeyFields(fields.key, writer);
  return writer
    .uint64(fields.serial)
    .uint32(typeNumbers[fields.type])
    .string(fields.keyId)
    .nested((principals) => writePrincipals(fields.principals, principals))
    .uint64(fields.validAfter)
    .uint64(fields.validBefore)
    .nested((options) => writeOptions(fields.criticalOptions, options))
    .nested((options) => writeOptions(fields.extensions, options))
    .string('')
    .nested((key) => writePublicKey(fields.signatureKey, key))
    .finish();
}

/** Joins what `encodeToBeSigned` made with the CA's signature over it. */
export function assembleCertificate(toBeSigned: Uint8Array, signature: Signature): Uint8Array {
  return new WireWriter(toBeSigned.length + 128)
    .raw(toBeSigned)
    .nested((writer) => writeSignature(signature, writer))
    .finish();
}

/** True if the key named in the certificate as its CA really signed it. Says nothing about trust in that key. */
export function verifyCertificateSignature(certificate: Certificate): boolean {
  return verifySignature(certificate.signatureKey, certificate.signedBytes, certificate.signature);
}

/** True for a principal that may stand in a certificate: no list separators, wildcards, white space or control characters. */
export function isUsablePrincipal(principal: string): boolean {
  return (
    principal.length <= MAX_PRINCIPAL_LENGTH &&
    /^[^\s,*?!"'\\\p{C}\p{Z}]+$/u.test(principal) &&
    principal.isWellFormed()
  );
}

function assertIssuable(fields: CertificateFields): void {
  if (fields.principals.length === 0)
    throw new TypeError('a certificate without principals would be valid for everyone');
  if (fields.principals.length > MAX_PRINCIPALS) throw new TypeError('more than 256 principals');
  if (!fields.principals.every(isUsablePrincipal))
    throw new TypeError('a principal is empty or holds a forbidden character');
  if (fields.validBefore >= INFINITE_VALIDITY) throw new TypeError('infinite validity is never issued');
  if (fields.validBefore <= fields.validAfter) throw new TypeError('the validity is empty');
  if (fields.serial === 0n) throw new TypeError('serial 0 cannot be revoked');
  if (Buffer.byteLength(fields.keyId) > MAX_KEY_ID_LENGTH) throw new TypeError('the key ID is longer than 16 KiB');
  if (fields.nonce.length < 16 || fields.nonce.length > 64) throw new TypeError('the nonce needs 16 to 64 bytes');
}

function typeNumbered(number: number): CertificateType {
  if (number === typeNumbers.user) return 'user';
  if (number === typeNumbers.host) return 'host';
  throw new FormatError('bad-value', 'the certificate is neither a user nor a host certificate');
}

function readPrincipals(reader: WireReader): string[] {
  const principals: string[] = [];
  while (reader.remaining > 0) {
    if (principals.length === MAX_PRINCIPALS)
      throw new FormatError('too-large', 'the certificate has more than 256 principals');
    principals.push(reader.text(MAX_PRINCIPAL_LENGTH));
  }
  return principals;
}

function writePrincipals(principals: readonly string[], writer: WireWriter): void {
  for (const principal of principals) writer.string(principal);
}

function readOptions(reader: WireReader): CertificateOption[] {
  const options: CertificateOption[] = [];
  const names = new Set<string>();
  while (reader.remaining > 0) {
    if (options.length === MAX_OPTIONS) throw new FormatError('too-large', 'the certificate has more than 256 options');
    const name = decodeText(reader.string(MAX_PRINCIPAL_LENGTH));
    if (names.has(name)) throw new FormatError('bad-value', 'the certificate has an option twice');
    names.add(name);
    options.push({ name, data: reader.string(MAX_OPTIONS_LENGTH) });
  }
  return options;
}

/** Sorted by the bytes of the name, as the draft demands and Go's parser insists. */
function writeOptions(options: readonly CertificateOption[], writer: WireWriter): void {
  const start = writer.length;
  let previous: CertificateOption | undefined;
  for (const option of options.toSorted((a, b) => compareNames(a.name, b.name))) {
    if (previous?.name === option.name) throw new TypeError('an option is given twice');
    writer.string(option.name).string(option.data);
    previous = option;
  }
  if (options.length > MAX_OPTIONS || writer.length - start > MAX_OPTIONS_LENGTH)
    throw new TypeError('too many options');
}

/** By their bytes in UTF-8. */
function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
