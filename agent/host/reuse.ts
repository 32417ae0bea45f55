/** Whether a certificate that the CA gave earlier still serves for what is asked for now. Pure. */
import type { Certificate } from '#openssh/certificate.ts';
import { type Promised, findIssuedFault } from '../ca/issued-check.ts';

/** With less time left than this a new one is asked for. */
const MIN_REMAINING_SECONDS = 3600n;

export function isReusable(
  certificate: Certificate,
  wanted: Omit<Promised, 'principals'> & { readonly names: readonly string[] },
): boolean {
  const { principals } = certificate;
  return (
    findIssuedFault(certificate, { ...wanted, principals }) === undefined &&
    certificate.validBefore - wanted.now > MIN_REMAINING_SECONDS &&
    wanted.names.every((name) => principals.includes(name))
  );
}
