/**
 * Key files as other programs write them, for the edges where a person hands us a file: PuTTY's `.ppk` (through sshpk, which is
 * loaded when one comes), and public keys in PEM (SubjectPublicKeyInfo, PKCS#1), RFC 4716 and `.ppk`, beside what `private-key.ts`
 * and `public-key.ts` read by themselves.
 * sshpk reads past its bounds and throws many things: it sees small input of one known format, whatever it throws becomes a
 * FormatError, and what it returns is read again by our own strict reader, which checks that both halves of a key belong together.
 * Refused on purpose: encrypted `.ppk` of version 3 (Argon2), which `puttygen --ppk-param version=2` rewrites.
 */
import { createPublicKey } from 'node:crypto';
import { decodeBase64 } from './base64.ts';
import { FormatError } from './format-error.ts';
import { findPemBlock } from './pem.ts';
import { wrongPassphrase } from './private-key-cipher.ts';
import { MAX_PRIVATE_KEY_LENGTH, type PrivateKey, parsePrivateKey } from './private-key.ts';
import {
  type PublicKey,
  decodePublicKey,
  encodePublicKey,
  parsePublicKeyLine,
  publicKeyFromObject,
} from './public-key.ts';

const RFC4716_BEGIN = '---- BEGIN SSH2 PUBLIC KEY ----';
const RFC4716_END = '---- END SSH2 PUBLIC KEY ----';

/** A private key in any format that we know. @throws FormatError as `parsePrivateKey` */
export async function readPrivateKey(file: Uint8Array, passphrase?: Uint8Array): Promise<PrivateKey> {
  const head = readPpkHead(file);
  if (head === undefined) return parsePrivateKey(file, passphrase);
  const isEncrypted = head.encryption !== 'none';
  if (isEncrypted && (passphrase === undefined || passphrase.length === 0))
    throw new FormatError('passphrase-needed', 'the private key is encrypted, and no passphrase was given');
  if (isEncrypted && (head.version !== '2' || head.encryption !== 'aes256-cbc'))
    throw new FormatError('unsupported-algorithm', 'an encrypted .ppk file of version 3; rewrite it as version 2');
  try {
    const own = await convertPpk(file, isEncrypted ? passphrase : undefined);
    return { ...parsePrivateKey(own), comment: head.comment };
  } catch (cause) {
    throw isEncrypted ? wrongPassphrase(cause) : new FormatError('bad-value', 'the .ppk file is damaged', { cause });
  }
}

/** A public key in any format that we know, with its comment if it has one. @throws FormatError */
export function readPublicKey(file: Uint8Array): { readonly key: PublicKey; readonly comment: string } {
  if (file.length > MAX_PRIVATE_KEY_LENGTH)
    throw new FormatError('too-large', 'the public key file is longer than 128 KiB');
  const text = Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString('utf8').trim();
  if (text.startsWith('-----BEGIN ')) return { key: readPemPublicKey(file), comment: '' };
  if (text.startsWith(RFC4716_BEGIN)) return readRfc4716(text);
  const ppk = readPpkHead(file);
  if (ppk !== undefined) return { key: decodePublicKey(ppk.publicBlob), comment: ppk.comment };
  return parsePublicKeyLine(text);
}

interface PpkHead {
  readonly version: string;
  readonly encryption: string;
  readonly comment: string;
  readonly publicBlob: Uint8Array;
}

/** The head of a .ppk file (PuTTY manual, appendix C); undefined for any other file. */
function readPpkHead(file: Uint8Array): PpkHead | undefined {
  if (file.length > MAX_PRIVATE_KEY_LENGTH) throw new FormatError('too-large', 'the key file is longer than 128 KiB');
  const lines = Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString('utf8').split(/\r?\n/);
  const version = /^PuTTY-User-Key-File-([23]): /.exec(lines[0] ?? '')?.[1];
  if (version === undefined) return undefined;
  const [encryption, comment, count] = ['Encryption', 'Comment', 'Public-Lines'].map((name, index) => {
    const line = lines[index + 1] ?? '';
    return line.startsWith(`${name}: `) ? line.slice(name.length + 2) : '';
  });
  if (encryption === undefined || comment === undefined || count === undefined || !/^[1-9][0-9]{0,3}$/.test(count))
    throw new FormatError('bad-value', 'the .ppk file is damaged');
  return { version, encryption, comment, publicBlob: decodeBase64(lines.slice(4, 4 + Number(count)).join('')) };
}

/** To OpenSSH's own format: into PKCS#8 it writes an Ed25519 key that begins with a zero byte as a shorter number. */
async function convertPpk(file: Uint8Array, passphrase: Uint8Array | undefined): Promise<Uint8Array> {
  const { default: sshpk } = await import('sshpk');
  const options = passphrase === undefined ? {} : { passphrase: Buffer.from(passphrase) };
  const format = 'putty' as 'auto'; // which its types forget, and its own detection knows in version 2 alone
  return sshpk.parsePrivateKey(Buffer.from(file), format, options).toBuffer('openssh', {});
}

function readPemPublicKey(file: Uint8Array): PublicKey {
  const { label, headers, base64 } = findPemBlock(file, (name) => name === 'PUBLIC KEY' || name === 'RSA PUBLIC KEY');
  if (headers.length > 0) throw new FormatError('bad-armor', 'a public key has no header lines');
  const key = Buffer.from(decodeBase64(base64));
  try {
    const object = createPublicKey({ key, format: 'der', type: label === 'PUBLIC KEY' ? 'spki' : 'pkcs1' });
    return decodePublicKey(encodePublicKey(publicKeyFromObject(object)));
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new FormatError('bad-value', 'the PEM public key is damaged', { cause });
  }
}

/** RFC 4716 section 3: headers may go on over line ends after a backslash. */
function readRfc4716(text: string): { key: PublicKey; comment: string } {
  const lines = text.split(/\r?\n/);
  if (lines.shift() !== RFC4716_BEGIN || lines.pop() !== RFC4716_END)
    throw new FormatError('bad-armor', 'the SSH2 public key has no matching end line');
  const joined = lines.join('\n').replaceAll('\\\n', '').split('\n');
  const headerCount = joined.findIndex((line) => !line.includes(':'));
  const headers = joined.slice(0, headerCount);
  const comment = headers.find((line) => /^comment: /i.test(line))?.slice('comment: '.length) ?? '';
  const key = decodePublicKey(decodeBase64(joined.slice(headerCount).join('')));
  return { key, comment: comment.replace(/^"(.*)"$/, '$1') };
}
