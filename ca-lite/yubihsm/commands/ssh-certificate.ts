/**
 * SIGN SSH CERTIFICATE: the device checks a complete to-be-signed certificate against a template and signs it with an
 * RSA key (Yubico, "Sign Ssh Certificate"; the answer is 0xdd, the page's 0xd6 is a misprint).
 *
 * Refused on purpose: SHA-1 (OpenSSH has not accepted it since 8.2) and SHA-384 (SSH has no name for it); a timestamp
 * signature that is not 256 bytes long, since the command has no length for it.
 */
import { createHash } from 'node:crypto';
import { algorithms } from '../algorithms.ts';
import { ByteReader, concat, u16, u32, u8 } from '../wire.ts';
import type { Command } from './command.ts';

/** The signature algorithms of SSH that the command can make. */
export type TemplateSignatureAlgorithm = 'rsa-sha2-256' | 'rsa-sha2-512';

const deviceAlgorithms = {
  'rsa-sha2-256': algorithms['rsa-pkcs1-sha256'],
  'rsa-sha2-512': algorithms['rsa-pkcs1-sha512'],
} as const;

/** The length of the timestamp key's signature: RSA-2048. */
export const timestampSignatureLength = 256;

/** What the command asks for. */
export interface SshCertificateRequest {
  keyId: number;
  templateId: number;
  algorithm: TemplateSignatureAlgorithm;
  /** Seconds since 1970, 32 bits. */
  timestampSeconds: number;
  timestampSignature: Uint8Array;
  /** The certificate up to and with the CA key, without the signature. */
  tbs: Uint8Array;
}

/** The bytes of the request that are not the certificate. */
export const sshCertificateOverhead = 2 + 2 + 1 + 4 + timestampSignatureLength;

/**
 * Asks for the signature; the answer is the SSH signature blob, `string algorithm | string signature`. The device answers
 * `device-ssh-constraint-violation` when the template forbids the certificate.
 */
export function signSshCertificate(request: SshCertificateRequest): Command<Uint8Array> {
  const { keyId, templateId, algorithm, timestampSeconds, timestampSignature, tbs } = request;
  if (timestampSignature.length !== timestampSignatureLength) {
    throw new TypeError(`the timestamp signature must have ${timestampSignatureLength} bytes`);
  }
  const data = concat(
    u16(keyId),
    u16(templateId),
    u8(deviceAlgorithms[algorithm]),
    u32(timestampSeconds),
    timestampSignature,
    tbs,
  );
  return { name: 'SIGN SSH CERTIFICATE', effect: 'sign', data, needs: ['sign-ssh-certificate'], decode: decodeBlob };
}

function decodeBlob(answer: Uint8Array): Uint8Array {
  const reader = new ByteReader(answer, 'SIGN SSH CERTIFICATE');
  const blob = new Uint8Array(reader.bytes(reader.u32()));
  reader.end();
  return blob;
}

/**
 * What the timestamp key signs, as a ready SHA-256 value:
 * `SHA-256(SHA-256(tbs) | timestamp)` with the timestamp in four bytes.
 */
export function timestampDigest(tbs: Uint8Array, timestampSeconds: number): Uint8Array {
  return new Uint8Array(createHash('sha256').update(timestampMessage(tbs, timestampSeconds)).digest());
}

/** The 36 bytes whose SHA-256 {@link timestampDigest} is, for signers that hash themselves. */
export function timestampMessage(tbs: Uint8Array, timestampSeconds: number): Uint8Array {
  return concat(createHash('sha256').update(tbs).digest(), u32(timestampSeconds));
}
