/** A certificate in words and as JSON; serials as decimal text, since JSON numbers cannot hold them. Pure. */
import type { Certificate } from '#openssh/certificate.ts';

export interface CertificateSummary {
  readonly serial: string;
  readonly keyId: string;
  readonly principals: readonly string[];
  /** ISO 8601, UTC. */
  readonly validAfter: string;
  readonly validBefore: string;
}

export function describeCertificate(certificate: Certificate): CertificateSummary {
  const { serial, keyId, principals, validAfter, validBefore } = certificate;
  return {
    serial: serial.toString(),
    keyId,
    principals,
    validAfter: formatUtc(validAfter),
    validBefore: formatUtc(validBefore),
  };
}

/** `2026-11-22T13:30:00Z`; a time beyond what a date can hold as `forever`. */
export function formatUtc(epochSeconds: bigint): string {
  const milliseconds = Number(epochSeconds) * 1000;
  return milliseconds > 8.64e15 ? 'forever' : new Date(milliseconds).toISOString().replace('.000Z', 'Z');
}
