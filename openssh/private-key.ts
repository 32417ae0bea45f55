/**
 * Private key files. Reads OpenSSH's own format (`openssh-key-v1`, OpenSSH PROTOCOL.key) and, through node:crypto, PKCS#1,
 * PKCS#8 and SEC1 in PEM and DER; writes OpenSSH's own alone. PuTTY's and other formats: `foreign-key.ts`.
 * Refused on purpose: files with several keys, padding that is not 1, 2, 3, …, keys whose halves differ, an outer public key
 * that is not the inner one. When a file is encrypted and no passphrase is given, the error says so before anything is derived.
 */
import { KeyObject } from 'node:crypto';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { FormatError } from './format-error.ts';
import { MAX_ALGORITHM_NAME_LENGTH } from './key-type.ts';
import { parseDerPrivateKey, parsePemPrivateKey } from './pem-private-key.ts';
import { type PemBlock, findPemBlock } from './pem.ts';
import {
  DEFAULT_KDF_ROUNDS,
  MAX_KDF_ROUNDS,
  SALT_LENGTH,
  WRITTEN_CIPHER,
  decryptBlocks,
  deriveFileKey,
  encryptBlocks,
  fileCipherNamed,
  wrongPassphrase,
} from './private-key-cipher.ts';
import {
  type PrivateKey,
  type SecurityKey,
  type SoftwareKey,
  fieldsOfKeyObject,
  readPrivateKeyFields,
  writePrivateKeyFields,
} from './private-key-fields.ts';
import { MAX_PUBLIC_KEY_LENGTH, decodePublicKey, encodePublicKey } from './public-key.ts';
import { WireReader, WireWriter, equalBytes } from './wire.ts';

export type { PrivateKey, SecurityKey, SoftwareKey };

/** RSA of 16,384 bits has 13 KiB as OpenSSH writes it. */
export const MAX_PRIVATE_KEY_LENGTH = 128 * 1024;
const MAX_COMMENT_LENGTH = 4 * 1024;
const MAX_KDF_OPTIONS_LENGTH = 2 * 1024;
const OPENSSH_LABEL = 'OPENSSH PRIVATE KEY';
const BASE64_WIDTH = 70;
const UNENCRYPTED_BLOCK_LENGTH = 8;
const magic = new TextEncoder().encode('openssh-key-v1\0');

/**
 * The key in a file, text or DER. The comment is empty where the format has none.
 * @throws FormatError `passphrase-needed`, `wrong-passphrase`, `unsupported-algorithm` and the other codes for damaged files.
 *   A bad passphrase on a damaged file cannot be told from damage where the cipher does not authenticate.
 */
export function parsePrivateKey(bytes: Uint8Array, passphrase?: Uint8Array): PrivateKey {
  if (bytes.length > MAX_PRIVATE_KEY_LENGTH)
    throw new FormatError('too-large', 'the private key file is longer than 128 KiB');
  if (bytes[0] === 0x30) return parseDerPrivateKey(bytes, passphrase);
  const block = findPemBlock(bytes, (label) => label.endsWith('PRIVATE KEY'));
  return block.label === OPENSSH_LABEL ? parseOpensshBlock(block, passphrase) : parsePemPrivateKey(block, passphrase);
}

/** As `parsePrivateKey`, for a key that this process shall sign with. @throws FormatError, `unsupported-algorithm` for a security key */
export function parseSoftwareKey(bytes: Uint8Array, passphrase?: Uint8Array): SoftwareKey {
  const key = parsePrivateKey(bytes, passphrase);
  if (key.privateKey !== undefined) return key;
  throw new FormatError('unsupported-algorithm', 'the file names a security key, which only its device can sign with');
}

export interface EncodePrivateKeyOptions {
  /** Default: the key's own comment, or none. */
  readonly comment?: string;
  /** Not empty, without NUL. Without it the key is written in the clear. */
  readonly passphrase?: Uint8Array;
  /** 1 to 256; default 24, about 0.4 s. */
  readonly rounds?: number;
  /** Fresh random values: a uint32, and 16 bytes when there is a passphrase. */
  readonly random: { readonly checkInt: number; readonly salt?: Uint8Array };
}

/** The text of an OpenSSH private key file, with a final line end, as `ssh-keygen` writes it. @throws TypeError for unusable options */
export function encodePrivateKey(key: KeyObject | PrivateKey, options: EncodePrivateKeyOptions): string {
  const own: PrivateKey = key instanceof KeyObject ? { ...fieldsOfKeyObject(key), comment: '' } : key;
  const sealed = sealer(options);
  using plain = new WireWriter(4096);
  plain.uint32(options.random.checkInt).uint32(options.random.checkInt);
  writePrivateKeyFields(own, plain);
  plain.string(options.comment ?? own.comment);
  for (let pad = 1; plain.length % sealed.blockLength > 0; pad++) plain.byte(pad & 0xff);
  using writer = new WireWriter(4096);
  writer.raw(magic).string(sealed.cipher).string(sealed.kdf).string(sealed.kdfOptions).uint32(1);
  writer.string(encodePublicKey(own.publicKey)).string(sealed.seal(plain.finish()));
  const lines = encodeBase64(writer.finish()).match(new RegExp(`.{1,${BASE64_WIDTH}}`, 'g')) ?? [];
  return [`-----BEGIN ${OPENSSH_LABEL}-----`, ...lines, `-----END ${OPENSSH_LABEL}-----`, ''].join('\n');
}

interface Sealer {
  readonly cipher: string;
  readonly kdf: string;
  readonly kdfOptions: Uint8Array;
  readonly blockLength: number;
  readonly seal: (plain: Uint8Array) => Uint8Array;
}

function sealer(options: EncodePrivateKeyOptions): Sealer {
  const { passphrase, rounds = DEFAULT_KDF_ROUNDS, random } = options;
  if (passphrase === undefined) {
    const blockLength = UNENCRYPTED_BLOCK_LENGTH;
    return { cipher: 'none', kdf: 'none', kdfOptions: new Uint8Array(), blockLength, seal: (plain) => plain };
  }
  const { salt } = random;
  if (passphrase.length === 0 || passphrase.includes(0)) throw new TypeError('an empty passphrase, or one with a NUL');
  if (salt?.length !== SALT_LENGTH) throw new TypeError('an encrypted key needs a salt of 16 bytes');
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > MAX_KDF_ROUNDS)
    throw new TypeError('KDF rounds out of range');
  const cipher = fileCipherNamed(WRITTEN_CIPHER);
  const seal = (plain: Uint8Array): Uint8Array => {
    const fileKey = deriveFileKey(cipher, passphrase, salt, rounds);
    const encrypted = encryptBlocks(cipher, fileKey, plain);
    fileKey.fill(0);
    plain.fill(0);
    return encrypted;
  };
  const kdfOptions = new WireWriter(32).string(salt).uint32(rounds).finish();
  return { cipher: WRITTEN_CIPHER, kdf: 'bcrypt', kdfOptions, blockLength: cipher.blockLength, seal };
}

function parseOpensshBlock(block: PemBlock, passphrase: Uint8Array | undefined): PrivateKey {
  if (block.headers.length > 0) throw new FormatError('bad-armor', 'an OpenSSH private key has no header lines');
  return decodeOpensshPrivateKey(decodeBase64(block.base64), passphrase);
}

/** The binary inside the armor. @throws FormatError as `parsePrivateKey` */
export function decodeOpensshPrivateKey(bytes: Uint8Array, passphrase?: Uint8Array): PrivateKey {
  const reader = new WireReader(bytes);
  if (!equalBytes(reader.raw(magic.length), magic)) throw new FormatError('bad-value', 'not an OpenSSH private key');
  const cipherName = reader.text(MAX_ALGORITHM_NAME_LENGTH);
  const kdfName = reader.text(MAX_ALGORITHM_NAME_LENGTH);
  const kdfOptions = reader.string(MAX_KDF_OPTIONS_LENGTH);
  if (reader.uint32() !== 1) throw new FormatError('bad-value', 'the file does not hold exactly one private key');
  const publicBlob = reader.string(MAX_PUBLIC_KEY_LENGTH);
  decodePublicKey(publicBlob); // a kind of key that we refuse is refused before anyone is asked for a passphrase
  const body = reader.string(MAX_PRIVATE_KEY_LENGTH);
  if (cipherName === 'none' && kdfName === 'none') {
    if (kdfOptions.length > 0) throw new FormatError('trailing-data', 'KDF options without a KDF');
    reader.end();
    return readPlain(body, UNENCRYPTED_BLOCK_LENGTH, publicBlob, false);
  }
  const { plain, blockLength } = decryptBody(reader, { cipherName, kdfName, kdfOptions, body }, passphrase);
  try {
    return readPlain(plain, blockLength, publicBlob, true);
  } finally {
    plain.fill(0);
  }
}

interface EncryptedBody {
  readonly cipherName: string;
  readonly kdfName: string;
  readonly kdfOptions: Uint8Array;
  readonly body: Uint8Array;
}

/** `reader` stands after the encrypted string, where the tag is. */
function decryptBody(
  reader: WireReader,
  { cipherName, kdfName, kdfOptions, body }: EncryptedBody,
  passphrase: Uint8Array | undefined,
): { plain: Uint8Array; blockLength: number } {
  const cipher = fileCipherNamed(cipherName);
  if (kdfName !== 'bcrypt') throw new FormatError('unsupported-algorithm', 'the private key uses an unknown KDF');
  const tag = reader.raw(cipher.tagLength);
  reader.end();
  const kdf = new WireReader(kdfOptions);
  const [salt, rounds] = [kdf.string(MAX_KDF_OPTIONS_LENGTH), kdf.uint32()];
  kdf.end();
  if (body.length === 0 || body.length % cipher.blockLength > 0)
    throw new FormatError('bad-value', 'the encrypted part is not a whole number of blocks');
  if (passphrase === undefined || passphrase.length === 0)
    throw new FormatError('passphrase-needed', 'the private key is encrypted, and no passphrase was given');
  const fileKey = deriveFileKey(cipher, passphrase, salt, rounds);
  const plain = decryptBlocks(cipher, fileKey, body, tag);
  fileKey.fill(0);
  return { plain, blockLength: cipher.blockLength };
}

function readPlain(plain: Uint8Array, blockLength: number, publicBlob: Uint8Array, encrypted: boolean): PrivateKey {
  if (plain.length === 0 || plain.length % blockLength > 0)
    throw new FormatError('bad-value', 'the private part is not a whole number of blocks');
  const reader = new WireReader(plain);
  const checkInt = reader.uint32();
  if (reader.uint32() !== checkInt)
    throw encrypted ? wrongPassphrase() : new FormatError('bad-value', 'the check numbers differ');
  const { certificate: _, ...fields } = readPrivateKeyFields(reader);
  const comment = reader.text(MAX_COMMENT_LENGTH);
  checkPadding(reader.rest(), blockLength);
  if (!equalBytes(encodePublicKey(fields.publicKey), publicBlob))
    throw new FormatError('bad-value', 'the public key outside is not the one inside');
  return { ...fields, comment };
}

function checkPadding(padding: Uint8Array, blockLength: number): void {
  if (padding.length >= blockLength || !padding.every((byte, index) => byte === index + 1))
    throw new FormatError('trailing-data', 'the private key ends in something other than its padding');
}
