/**
 * Key fingerprints as OpenSSH prints them: `SHA256:` and the unpadded base64 of SHA-256 over the public key blob
 * (`sshkey_fingerprint`, sshkey.c). MD5 fingerprints are refused: nothing is identified by them here.
 */
import { hash } from 'node:crypto';
import { decodeBase64, encodeBase64Unpadded } from './base64.ts';
import { FormatError } from './format-error.ts';

declare const fingerprintBrand: unique symbol;
/** `SHA256:` and 43 base64 characters. */
export type Fingerprint = string & { readonly [fingerprintBrand]: true };

/** The fingerprint of a public key blob; for a certificate OpenSSH uses the blob of the key inside. */
export function fingerprintOf(publicKeyBlob: Uint8Array): Fingerprint {
  return `SHA256:${encodeBase64Unpadded(hash('sha256', publicKeyBlob, 'buffer'))}` as Fingerprint;
}

/** @throws FormatError `bad-value`, `bad-base64` */
export function parseFingerprint(text: string): Fingerprint {
  const base64 = /^SHA256:([A-Za-z0-9+/]{43})$/.exec(text)?.[1];
  if (base64 === undefined)
    throw new FormatError('bad-value', 'not a fingerprint: expected SHA256: and 43 characters of base64');
  decodeBase64(`${base64}=`);
  return text as Fingerprint;
}
