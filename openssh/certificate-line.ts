/**
 * A certificate as one line of text, `type base64 comment`: what `ssh-keygen -s` writes into a `-cert.pub` file and what
 * `HostCertificate` and `CertificateFile` of OpenSSH read.
 */
import { encodeBase64 } from './base64.ts';
import { type Certificate, decodeCertificate } from './certificate.ts';
import { FormatError } from './format-error.ts';
import { certifiedKeyTypeNamed, keyTypes } from './key-type.ts';
import { splitKeyLine } from './public-key.ts';

export interface CertificateLine {
  readonly certificate: Certificate;
  /** Everything after the base64, without surrounding white space; may be empty. */
  readonly comment: string;
}

/** @throws FormatError. The CA's signature is parsed, not verified. */
export function parseCertificateLine(line: string): CertificateLine {
  const { name, blob, comment } = splitKeyLine(line);
  const type = certifiedKeyTypeNamed(name);
  const certificate = decodeCertificate(blob);
  if (certificate.key.type !== type)
    throw new FormatError('bad-value', 'the type at the start of the line is not the type of the certificate');
  return { certificate, comment };
}

/** Without a line end. @throws TypeError for a comment with a line break */
export function formatCertificateLine(certificate: Pick<Certificate, 'key' | 'blob'>, comment = ''): string {
  if (/[\r\n\0]/.test(comment)) throw new TypeError('comment with a line break or NUL');
  const name = keyTypes[certificate.key.type].certificateType;
  return `${name} ${encodeBase64(certificate.blob)}${comment === '' ? '' : ` ${comment}`}`;
}
