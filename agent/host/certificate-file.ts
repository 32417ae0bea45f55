/** Certificate files as sshd reads them: one line, `TYPE BASE64 [COMMENT]`. */
import { readFile } from 'node:fs/promises';
import { decodeBase64 } from '#openssh/base64.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import { FormatError } from '#openssh/format-error.ts';
import { systemErrorCode } from '../failure.ts';

/** @throws FormatError */
export function parseCertificateLine(line: string): Certificate {
  const [, base64 = ''] = /^\s*[!-~]+[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t].*)?\s*$/.exec(line) ?? [];
  if (base64 === '') throw new FormatError('bad-value', 'not a certificate line: expected TYPE BASE64 [COMMENT]');
  return decodeCertificate(decodeBase64(base64));
}

/** @returns undefined for a file that is missing, unreadable or no certificate, as sshd passes over it */
export async function readCertificateFile(path: string): Promise<Certificate | undefined> {
  try {
    return parseCertificateLine(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof FormatError || systemErrorCode(error) !== undefined) return undefined;
    throw error;
  }
}
