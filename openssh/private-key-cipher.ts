/**
 * How an `openssh-key-v1` file is encrypted (OpenSSH PROTOCOL.key sections 2 and 4): the bcrypt KDF and one table of ciphers.
 * Reads what any `ssh-keygen -Z` writes; new keys are written with aes256-ctr alone, as ssh-keygen does by default.
 * Refused on purpose: KDFs other than `bcrypt`, more rounds than a daemon may block for, encryption without a KDF.
 */
import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';
import bcrypt from 'bcrypt-pbkdf';
import { FormatError } from './format-error.ts';
import { poly1305 } from './poly1305.ts';

/** A round takes about 15 ms in JavaScript: a file that asks for more than this is refused (ssh-keygen's default is 16 or 24). */
export const MAX_KDF_ROUNDS = 256;
/** What ssh-keygen writes since OpenSSH 9.4. */
export const DEFAULT_KDF_ROUNDS = 24;
export const SALT_LENGTH = 16;
const MAX_SALT_LENGTH = 1024;

export interface FileCipher {
  readonly blockLength: number;
  readonly keyLength: number;
  readonly ivLength: number;
  /** Bytes after the encrypted string that authenticate it. */
  readonly tagLength: number;
  /** OpenSSL's name; undefined for the one that OpenSSL does not have. */
  readonly openssl?: string;
}

export const WRITTEN_CIPHER = 'aes256-ctr';

const ciphers: ReadonlyMap<string, FileCipher> = new Map([
  ['aes128-ctr', { blockLength: 16, keyLength: 16, ivLength: 16, tagLength: 0, openssl: 'aes-128-ctr' }],
  ['aes192-ctr', { blockLength: 16, keyLength: 24, ivLength: 16, tagLength: 0, openssl: 'aes-192-ctr' }],
  ['aes256-ctr', { blockLength: 16, keyLength: 32, ivLength: 16, tagLength: 0, openssl: 'aes-256-ctr' }],
  ['aes128-cbc', { blockLength: 16, keyLength: 16, ivLength: 16, tagLength: 0, openssl: 'aes-128-cbc' }],
  ['aes192-cbc', { blockLength: 16, keyLength: 24, ivLength: 16, tagLength: 0, openssl: 'aes-192-cbc' }],
  ['aes256-cbc', { blockLength: 16, keyLength: 32, ivLength: 16, tagLength: 0, openssl: 'aes-256-cbc' }],
  ['3des-cbc', { blockLength: 8, keyLength: 24, ivLength: 8, tagLength: 0, openssl: 'des-ede3-cbc' }],
  ['aes128-gcm@openssh.com', { blockLength: 16, keyLength: 16, ivLength: 12, tagLength: 16, openssl: 'aes-128-gcm' }],
  ['aes256-gcm@openssh.com', { blockLength: 16, keyLength: 32, ivLength: 12, tagLength: 16, openssl: 'aes-256-gcm' }],
  ['chacha20-poly1305@openssh.com', { blockLength: 8, keyLength: 64, ivLength: 0, tagLength: 16 }],
]);

/** @throws FormatError `unsupported-algorithm` */
export function fileCipherNamed(name: string): FileCipher {
  const cipher = ciphers.get(name);
  if (cipher === undefined)
    throw new FormatError('unsupported-algorithm', 'the private key is encrypted with an unknown cipher');
  return cipher;
}

/**
 * Key and IV, one after the other. Blocks for about 15 ms per round.
 * @throws FormatError `too-large`, `bad-value` for salt or rounds out of range
 */
export function deriveFileKey(
  cipher: FileCipher,
  passphrase: Uint8Array,
  salt: Uint8Array,
  rounds: number,
): Uint8Array {
  if (rounds > MAX_KDF_ROUNDS)
    throw new FormatError('too-large', `the private key asks for more than ${MAX_KDF_ROUNDS} KDF rounds`);
  if (salt.length > MAX_SALT_LENGTH) throw new FormatError('too-large', 'the salt is longer than 1 KiB');
  const key = new Uint8Array(cipher.keyLength + cipher.ivLength);
  if (bcrypt.pbkdf(passphrase, passphrase.length, salt, salt.length, key, key.length, rounds) !== 0)
    throw new FormatError('bad-value', 'the KDF of the private key has no salt or no rounds');
  return key;
}

/** Encrypts a whole number of blocks with a cipher that has no tag. */
export function encryptBlocks(cipher: FileCipher, keyAndIv: Uint8Array, plain: Uint8Array): Uint8Array {
  if (cipher.openssl === undefined || cipher.tagLength > 0) throw new TypeError('a cipher that only reads');
  const [key, iv] = splitKey(cipher, keyAndIv);
  const context = createCipheriv(cipher.openssl, key, iv).setAutoPadding(false);
  return Buffer.concat([context.update(plain), context.final()]);
}

/** @throws FormatError `wrong-passphrase` when an authenticating cipher finds the tag wrong */
export function decryptBlocks(
  cipher: FileCipher,
  keyAndIv: Uint8Array,
  encrypted: Uint8Array,
  tag: Uint8Array,
): Uint8Array {
  const [key, iv] = splitKey(cipher, keyAndIv);
  if (cipher.openssl === undefined) return decryptChaCha(key, encrypted, tag);
  const context = createDecipheriv(cipher.openssl, key, iv).setAutoPadding(false);
  if (cipher.tagLength > 0) (context as ReturnType<typeof createDecipheriv> & GcmTag).setAuthTag(tag);
  const plain = context.update(encrypted);
  try {
    context.final();
  } catch (cause) {
    throw wrongPassphrase(cause);
  }
  return plain;
}

interface GcmTag {
  setAuthTag(tag: Uint8Array): unknown;
}

export function wrongPassphrase(cause?: unknown): FormatError {
  return new FormatError('wrong-passphrase', 'the passphrase does not open the private key', { cause });
}

/** OpenSSH PROTOCOL.chacha20poly1305 with sequence number 0 and no separate length field: only the first half of the key counts. */
function decryptChaCha(key: Uint8Array, encrypted: Uint8Array, tag: Uint8Array): Uint8Array {
  const mainKey = key.subarray(0, 32);
  const macKey = chaCha20(mainKey, 0, new Uint8Array(32));
  if (!timingSafeEqual(poly1305(macKey, encrypted), tag)) throw wrongPassphrase();
  return chaCha20(mainKey, 1, encrypted);
}

function chaCha20(key: Uint8Array, blockCounter: number, input: Uint8Array): Uint8Array {
  const counterAndNonce = new Uint8Array(16);
  counterAndNonce[0] = blockCounter;
  return createCipheriv('chacha20', key, counterAndNonce).update(input);
}

function splitKey(cipher: FileCipher, keyAndIv: Uint8Array): [Uint8Array, Uint8Array] {
  return [keyAndIv.subarray(0, cipher.keyLength), keyAndIv.subarray(cipher.keyLength)];
}
