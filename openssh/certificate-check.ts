/**
 * Decides whether a certificate is acceptable for one use at one moment (draft-ietf-sshm-cert sections on validity,
 * principals and critical options; CVE-2026-42508: revocation of the certificate, of its key *and* of its CA).
 * Pure: `now`, the trusted CA keys and the revocations come from the caller.
 */
import {
  type Certificate,
  type CertificateType,
  INFINITE_VALIDITY,
  verifyCertificateSignature,
} from './certificate.ts';
import { type Fingerprint, fingerprintOf } from './fingerprint.ts';
import { encodePublicKey } from './public-key.ts';

export type CertificateFault =
  | 'wrong-type'
  | 'untrusted-ca'
  | 'bad-signature'
  | 'not-yet-valid'
  | 'expired'
  | 'no-principals'
  | 'principal-not-listed'
  | 'unknown-critical-option'
  | 'revoked';

export interface CertificateExpectations {
  readonly type: CertificateType;
  /** Epoch seconds. */
  readonly now: bigint;
  /** Fingerprints of the CA keys that are trusted for this type. */
  readonly trustedCas: ReadonlySet<Fingerprint>;
  /** Must be among the certificate's principals; undefined: any, but never none. */
  readonly principal?: string;
  /** Critical options that the caller enforces; every other one is fatal. */
  readonly enforcedOptions?: ReadonlySet<string>;
  /** True for a revoked certificate; asked last, with a certificate that is otherwise in order. */
  readonly isRevoked?: (certificate: Certificate, key: Fingerprint, ca: Fingerprint) => boolean;
}

/** The first fault found, or undefined for an acceptable certificate. */
export function findCertificateFault(
  certificate: Certificate,
  expected: CertificateExpectations,
): CertificateFault | undefined {
  if (certificate.type !== expected.type) return 'wrong-type';
  const ca = fingerprintOf(encodePublicKey(certificate.signatureKey));
  if (!expected.trustedCas.has(ca)) return 'untrusted-ca';
  if (!verifyCertificateSignature(certificate)) return 'bad-signature';
  return (
    findValidityFault(certificate, expected.now) ??
    findPrincipalFault(certificate, expected.principal) ??
    findOptionFault(certificate, expected.enforcedOptions) ??
    findRevocation(certificate, ca, expected)
  );
}

/** `validAfter` is inclusive, `validBefore` exclusive; forever is not valid here, since we never issue it. */
export function findValidityFault(certificate: Certificate, now: bigint): 'not-yet-valid' | 'expired' | undefined {
  if (now < certificate.validAfter) return 'not-yet-valid';
  if (now >= certificate.validBefore || certificate.validBefore === INFINITE_VALIDITY) return 'expired';
  return undefined;
}

function findPrincipalFault(certificate: Certificate, principal: string | undefined): CertificateFault | undefined {
  if (certificate.principals.length === 0) return 'no-principals';
  if (principal !== undefined && !certificate.principals.includes(principal)) return 'principal-not-listed';
  return undefined;
}

function findOptionFault(
  certificate: Certificate,
  enforced: ReadonlySet<string> = new Set(),
): CertificateFault | undefined {
  return certificate.criticalOptions.every((option) => enforced.has(option.name))
    ? undefined
    : 'unknown-critical-option';
}

function findRevocation(
  certificate: Certificate,
  ca: Fingerprint,
  expected: CertificateExpectations,
): CertificateFault | undefined {
  const key = fingerprintOf(encodePublicKey(certificate.key));
  return expected.isRevoked?.(certificate, key, ca) === true ? 'revoked' : undefined;
}
