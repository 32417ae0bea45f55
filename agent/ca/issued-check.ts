/** Whether the certificate that the CA handed out is the one that was promised. Checked before anything is installed. Pure. */
import { type CertificateFault, findCertificateFault } from '#openssh/certificate-check.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { equalBytes } from '#openssh/wire.ts';

export interface Promised {
  /** Blob of the host's public key. */
  readonly keyBlob: Uint8Array;
  /** In any order; undefined: whatever the CA decided, as long as there is one. */
  readonly principals?: readonly string[];
  readonly trustedCas: ReadonlySet<Fingerprint>;
  /** Epoch seconds. */
  readonly now: bigint;
}

export type IssuedFault = CertificateFault | 'malformed' | 'another-key' | 'other-principals';

export type IssuedVerdict =
  { readonly fault: IssuedFault } | { readonly fault?: undefined; readonly certificate: Certificate };

export function checkIssued(blob: Uint8Array, promised: Promised): IssuedVerdict {
  const certificate = decoded(blob);
  if (certificate === undefined) return { fault: 'malformed' };
  const fault = findIssuedFault(certificate, promised);
  return fault === undefined ? { certificate } : { fault };
}

export function findIssuedFault(certificate: Certificate, promised: Promised): IssuedFault | undefined {
  if (!equalBytes(encodePublicKey(certificate.key), promised.keyBlob)) return 'another-key';
  const fault = findCertificateFault(certificate, { type: 'host', now: promised.now, trustedCas: promised.trustedCas });
  if (fault !== undefined) return fault;
  if (promised.principals === undefined) return undefined;
  const [has, wants] = [new Set(certificate.principals), new Set(promised.principals)];
  return has.size === wants.size && has.isSubsetOf(wants) ? undefined : 'other-principals';
}

function decoded(blob: Uint8Array): Certificate | undefined {
  try {
    return decodeCertificate(blob);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
