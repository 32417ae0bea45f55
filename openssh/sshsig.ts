/**
 * SSHSIG (OpenSSH PROTOCOL.sshsig, draft-josefsson-sshsig-format): file signatures by SSH keys, bound to a namespace.
 * Binary blob and armor, both directions, and the bytes that are signed. The public key may be a certificate.
 * Refused on purpose: empty namespaces, versions other than 1, hashes other than SHA-256 and SHA-512, RSA with SHA-1.
 */
import { hash } from 'node:crypto';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { type Certificate, MAX_CERTIFICATE_LENGTH, decodeCertificate } from './certificate.ts';
import { FormatError } from './format-error.ts';
import { MAX_ALGORITHM_NAME_LENGTH, isKeyType } from './key-type.ts';
import { type PublicKey, decodePublicKey } from './public-key.ts';
import {
  type Signature,
  MAX_SIGNATURE_LENGTH,
  type VerifyOptions,
  decodeSignature,
  encodeSignature,
  verifySignature,
} from './signature.ts';
import { WireReader, WireWriter, equalBytes } from './wire.ts';

export const MAX_SSHSIG_LENGTH = MAX_CERTIFICATE_LENGTH + MAX_SIGNATURE_LENGTH + 4096;
const MAX_NAMESPACE_LENGTH = 1024;
const magic = new TextEncoder().encode('SSHSIG');
const VERSION = 1;
const ARMOR_BEGIN = '-----BEGIN SSH SIGNATURE-----';
const ARMOR_END = '-----END SSH SIGNATURE-----';
const ARMOR_WIDTH = 70;
const MAX_ARMORS = 16;

export type SshsigHash = 'sha256' | 'sha512';

export interface Sshsig {
  /** Public key or certificate blob, as it stands in the signature. */
  readonly keyBlob: Uint8Array;
  /** The key that signed: `keyBlob` itself or the key inside the certificate. */
  readonly key: PublicKey;
  readonly certificate?: Certificate;
  readonly namespace: string;
  readonly hash: SshsigHash;
  readonly signature: Signature;
}

/** What a signer signs for `message`; the agent or key signs these bytes as they are. */
export function encodeSshsigToBeSigned(
  message: Uint8Array,
  namespace: string,
  hashName: SshsigHash = 'sha512',
): Uint8Array {
  return encodeSshsigOfDigest(hash(hashName, message, 'buffer'), namespace, hashName);
}

/** The same for a message whose hash is known. */
export function encodeSshsigOfDigest(
  digest: Uint8Array,
  namespace: string,
  hashName: SshsigHash = 'sha512',
): Uint8Array {
  if (namespace === '') throw new TypeError('an SSHSIG needs a namespace');
  return new WireWriter(160).raw(magic).string(namespace).string('').string(hashName).string(digest).finish();
}

/** The blob from its parts; `signature` is over `encodeSshsigToBeSigned` of the same namespace and hash. */
export function encodeSshsig(
  parts: Pick<Sshsig, 'keyBlob' | 'namespace' | 'signature'> & { readonly hash?: SshsigHash },
): Uint8Array {
  if (parts.namespace === '') throw new TypeError('an SSHSIG needs a namespace');
  return new WireWriter(512)
    .raw(magic)
    .uint32(VERSION)
    .string(parts.keyBlob)
    .string(parts.namespace)
    .string('')
    .string(parts.hash ?? 'sha512')
    .string(encodeSignature(parts.signature))
    .finish();
}

/** @throws FormatError */
export function decodeSshsig(blob: Uint8Array): Sshsig {
  if (blob.length > MAX_SSHSIG_LENGTH) throw new FormatError('too-large', 'the SSHSIG is too long');
  const reader = new WireReader(blob);
  if (!equalBytes(reader.raw(magic.length), magic)) throw new FormatError('bad-value', 'not an SSHSIG');
  if (reader.uint32() !== VERSION) throw new FormatError('bad-value', 'an SSHSIG version other than 1');
  const keyBlob = reader.string(MAX_CERTIFICATE_LENGTH);
  const signer = decodeSigner(keyBlob);
  const namespace = reader.text(MAX_NAMESPACE_LENGTH);
  if (namespace === '') throw new FormatError('bad-value', 'the SSHSIG has no namespace');
  reader.string(MAX_NAMESPACE_LENGTH); // reserved: ignored by verifiers (PROTOCOL.sshsig)
  const hashName = reader.text(MAX_ALGORITHM_NAME_LENGTH);
  if (hashName !== 'sha256' && hashName !== 'sha512')
    throw new FormatError('unsupported-algorithm', 'the SSHSIG uses another hash than SHA-256 or SHA-512');
  const signature = decodeSignature(signer.key.type, reader.string(MAX_SIGNATURE_LENGTH));
  reader.end();
  return { keyBlob, ...signer, namespace, hash: hashName, signature };
}

/**
 * True if `sshsig` is a valid signature over `message` in exactly this namespace, by the key that it names.
 * Whether that key (or certificate) is the right one is for the caller to decide.
 */
export function verifySshsig(
  sshsig: Sshsig,
  message: Uint8Array,
  namespace: string,
  options: VerifyOptions = {},
): boolean {
  if (sshsig.namespace !== namespace) return false;
  return verifySignature(
    sshsig.key,
    encodeSshsigToBeSigned(message, namespace, sshsig.hash),
    sshsig.signature,
    options,
  );
}

/** The text form of `ssh-keygen -Y sign`, with a final line end. */
export function armorSshsig(blob: Uint8Array): string {
  const lines = encodeBase64(blob).match(new RegExp(`.{1,${ARMOR_WIDTH}}`, 'g')) ?? [];
  return [ARMOR_BEGIN, ...lines, ARMOR_END, ''].join('\n');
}

/** The blob inside an armor; white space around and line breaks inside are allowed, nothing else. @throws FormatError */
export function dearmorSshsig(text: string): Uint8Array {
  if (text.length > 2 * MAX_SSHSIG_LENGTH) throw new FormatError('too-large', 'the SSHSIG is too long');
  const lines = text.trim().split(/\r?\n/);
  if (lines.shift() !== ARMOR_BEGIN || lines.pop() !== ARMOR_END) {
    throw new FormatError('bad-armor', `not an SSH signature: expected ${ARMOR_BEGIN} and its end`);
  }
  return decodeBase64(lines.join(''));
}

/** The blobs of armors that stand one after the other, at least one and at most {@link MAX_ARMORS}. @throws FormatError */
export function dearmorSshsigs(text: string): Uint8Array[] {
  if (text.length > MAX_ARMORS * 2 * MAX_SSHSIG_LENGTH) throw new FormatError('too-large', 'the SSHSIGs are too long');
  const ends = text.trim().split(ARMOR_END);
  if (ends.pop() !== '' || ends.length > MAX_ARMORS) {
    throw new FormatError('bad-armor', `not 1 to ${MAX_ARMORS} SSH signatures, one after the other`);
  }
  return ends.map((armor) => dearmorSshsig(`${armor}${ARMOR_END}`));
}

function decodeSigner(keyBlob: Uint8Array): Pick<Sshsig, 'key' | 'certificate'> {
  const type = new WireReader(keyBlob).text(MAX_ALGORITHM_NAME_LENGTH);
  if (isKeyType(type)) return { key: decodePublicKey(keyBlob) };
  const certificate = decodeCertificate(keyBlob);
  return { key: certificate.key, certificate };
}
