/**
 * The address of a CA as a person writes it. Refused on purpose: anything but https, user names, paths, queries: a CA lives at the
 * root of a host, and step clients drop the path too.
 */
import { CaError } from './ca-error.ts';

/** @returns the origin: scheme, host and port, without a final slash @throws CaError `ca-url-invalid` */
export function parseCaUrl(text: string): string {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`);
  if (url === null || url.protocol !== 'https:' || url.hostname === '') throw invalid();
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') throw invalid();
  if (url.pathname !== '/') throw invalid();
  return url.origin;
}

function invalid(): CaError {
  return new CaError('ca-url-invalid', 'the address of the CA is not of the form https://ca.example.internal:8443', {
    advice: 'Give scheme, host and port, and nothing else.',
  });
}

/** Lower-case hex without separators; `openssl x509 -fingerprint` writes colons. @throws CaError `root-fingerprint-mismatch` */
export function parseRootFingerprint(text: string): string {
  const hex = text
    .replace(/^sha256[:=]/i, '')
    .replaceAll(/[:\s-]/g, '')
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return hex;
  throw new CaError('root-fingerprint-mismatch', 'the fingerprint is not a SHA-256 in hex', {
    advice: 'It has 64 hexadecimal digits. countersign-ca init printed it.',
  });
}
