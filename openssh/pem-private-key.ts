/**
 * Private keys in OpenSSL's formats, read by node:crypto: PKCS#1 (RFC 8017 appendix A.1.2), PKCS#8 (RFC 5208), encrypted PKCS#8
 * (RFC 8018), SEC1 (RFC 5915), and PEM encrypted the old way (`Proc-Type: 4,ENCRYPTED`).
 * We look at the structure first, so that OpenSSL sees one known kind of key, and no file can make it work for minutes.
 * Refused on purpose: DSA, curves other than NIST's three, single-DES and RC2/RC4 encryption, KDFs over the bounds below.
 */
import { type KeyObject, createPrivateKey } from 'node:crypto';
import { decodeBase64 } from './base64.ts';
import {
  DER_INTEGER,
  DER_OCTET_STRING,
  DER_OID,
  DER_SEQUENCE,
  type DerElement,
  contentOf,
  readDer,
  readDerInside,
  smallInteger,
} from './der.ts';
import { FormatError } from './format-error.ts';
import { rebuiltKeyPair } from './key-pair.ts';
import type { PemBlock } from './pem.ts';
import { wrongPassphrase } from './private-key-cipher.ts';
import type { SoftwareKey } from './private-key-fields.ts';

/** About 2 s of SHA-512; OpenSSL writes 2,048 by default, careful people up to a million. */
const MAX_PBKDF2_ITERATIONS = 5_000_000;
/** N * r * p of scrypt: 2^20 is about 0.4 s; OpenSSL writes 2^17. OpenSSL itself stops at 32 MiB of memory. */
const MAX_SCRYPT_WORK = 2 ** 22;

const OID_PBES2 = '2a864886f70d01050d';
const OID_PBKDF2 = '2a864886f70d01050c';
const OID_SCRYPT = '2b06010401da47040b';

type DerKind = 'pkcs1' | 'pkcs8' | 'sec1' | 'encrypted';
const kindsByLabel: ReadonlyMap<string, DerKind> = new Map([
  ['RSA PRIVATE KEY', 'pkcs1'],
  ['EC PRIVATE KEY', 'sec1'],
  ['PRIVATE KEY', 'pkcs8'],
  ['ENCRYPTED PRIVATE KEY', 'encrypted'],
]);
const oldPemCiphers: ReadonlySet<string> = new Set(['AES-128-CBC', 'AES-192-CBC', 'AES-256-CBC', 'DES-EDE3-CBC']);

/** @throws FormatError */
export function parsePemPrivateKey(block: PemBlock, passphrase?: Uint8Array): SoftwareKey {
  const kind = kindsByLabel.get(block.label);
  if (kind === undefined) throw new FormatError('unsupported-algorithm', 'a kind of private key that is not supported');
  const der = decodeBase64(block.base64);
  if (block.headers.some((header) => header.startsWith('Proc-Type:'))) return parseOldPem(block, der, passphrase);
  if (kindOf(der) !== kind) throw new FormatError('bad-value', 'the PEM label and the key inside differ');
  return parseDerPrivateKey(der, passphrase);
}

/** PKCS#1, PKCS#8, encrypted PKCS#8 or SEC1, told apart by their structure. @throws FormatError */
export function parseDerPrivateKey(der: Uint8Array, passphrase?: Uint8Array): SoftwareKey {
  const kind = kindOf(der);
  const key = Buffer.from(der.buffer, der.byteOffset, der.byteLength);
  if (kind !== 'encrypted') return checked(() => createPrivateKey({ key, format: 'der', type: kind }), damaged);
  checkEncryption(der);
  const secret = needed(passphrase);
  return checked(() => createPrivateKey({ key, format: 'der', type: 'pkcs8', passphrase: secret }), wrongPassphrase);
}

/** OpenSSL's encryption from before PKCS#8; MD5 once over passphrase and IV, so nothing to bound. */
function parseOldPem(block: PemBlock, encrypted: Uint8Array, passphrase: Uint8Array | undefined): SoftwareKey {
  const info = block.headers.find((header) => header.startsWith('DEK-Info:')) ?? '';
  const [, cipher = '', iv = ''] = /^DEK-Info: *([A-Z0-9-]{1,20}),([0-9A-Fa-f]{16,32})$/.exec(info) ?? [];
  if (!oldPemCiphers.has(cipher))
    throw new FormatError('unsupported-algorithm', 'the PEM file is encrypted with a cipher that is not supported');
  if (encrypted.length === 0) throw new FormatError('truncated', 'the PEM file is empty');
  const secret = needed(passphrase);
  const pem = [
    `-----BEGIN ${block.label}-----`,
    'Proc-Type: 4,ENCRYPTED',
    `DEK-Info: ${cipher},${iv.toUpperCase()}`,
    '',
    ...(block.base64.match(/.{1,64}/g) ?? []),
    `-----END ${block.label}-----`,
    '',
  ].join('\n');
  return checked(() => createPrivateKey({ key: pem, format: 'pem', passphrase: secret }), wrongPassphrase);
}

function needed(passphrase: Uint8Array | undefined): Buffer {
  if (passphrase === undefined || passphrase.length === 0)
    throw new FormatError('passphrase-needed', 'the private key is encrypted, and no passphrase was given');
  return Buffer.from(passphrase);
}

function checked(read: () => KeyObject, faultOf: (cause: unknown) => FormatError): SoftwareKey {
  let privateKey: KeyObject;
  try {
    privateKey = read();
  } catch (cause) {
    throw faultOf(cause);
  }
  return { ...rebuiltKeyPair(privateKey), comment: '' };
}

function damaged(cause: unknown): FormatError {
  return new FormatError('bad-value', 'the private key is damaged, or of a kind that is not supported', { cause });
}

/** By the first elements: all four are one SEQUENCE. */
function kindOf(der: Uint8Array): DerKind {
  const [outer, ...more] = readDer(der);
  if (more.length > 0) throw new FormatError('trailing-data', 'something follows the private key');
  const [first, second] = readDerInside(outer);
  if (first?.tag === DER_SEQUENCE && second?.tag === DER_OCTET_STRING) return 'encrypted';
  if (first?.tag === DER_INTEGER && second?.tag === DER_SEQUENCE) return 'pkcs8';
  if (first?.tag === DER_INTEGER && second?.tag === DER_INTEGER) return 'pkcs1';
  if (first?.tag === DER_INTEGER && second?.tag === DER_OCTET_STRING) return 'sec1';
  throw new FormatError('bad-value', 'the DER is not a private key');
}

/** EncryptedPrivateKeyInfo: PBES2 with PBKDF2 or scrypt within bounds; the older schemes are refused with their ciphers. */
function checkEncryption(der: Uint8Array): void {
  const [algorithm] = readDerInside(readDer(der)[0]);
  const [scheme, parameters] = readDerInside(algorithm);
  if (oidOf(scheme) !== OID_PBES2)
    throw new FormatError('unsupported-algorithm', 'the PKCS#8 file is not encrypted with PBES2; write it anew');
  const [kdf] = readDerInside(parameters);
  const [kdfName, kdfParameters] = readDerInside(kdf);
  const [, ...numbers] = readDerInside(kdfParameters);
  if (isTooMuchWork(oidOf(kdfName), numbers))
    throw new FormatError('too-large', 'the KDF of the private key asks for too much work');
}

function isTooMuchWork(kdf: string, [first, second, third]: readonly DerElement[]): boolean {
  if (kdf === OID_PBKDF2) return smallInteger(first) > MAX_PBKDF2_ITERATIONS;
  if (kdf === OID_SCRYPT) return smallInteger(first) * smallInteger(second) * smallInteger(third) > MAX_SCRYPT_WORK;
  throw new FormatError('unsupported-algorithm', 'the private key uses an unknown KDF');
}

function oidOf(element: DerElement | undefined): string {
  return Buffer.from(contentOf(element, DER_OID)).toString('hex');
}
