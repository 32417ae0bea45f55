/**
 * Whether a statement of the CA may be believed (protocol/trust.ts): signed by a statement key that a host CA key vouches for which is
 * trusted *already*. Shared by everything the CA states: keys to trust, what is revoked, the time. Pure.
 * Refused on purpose: certificates of host type, with other principals, options or extensions than those of a statement key.
 */
import { findCertificateFault } from '#openssh/certificate-check.ts';
import { type Certificate, optionText } from '#openssh/certificate.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type Sshsig, decodeSshsig, verifySshsig } from '#openssh/sshsig.ts';
import { STATEMENT_PRINCIPAL } from '#protocol/trust.ts';

/** From the farthest to the nearest to being believed. */
const faults = [
  'unsigned', // no signature at all, or none that can be read
  'signer-untrusted', // by nobody that a trusted host CA key vouches for as a statement key
  'signer-not-valid-now',
  'signature-invalid', // for other bytes, or of another namespace
] as const;
export type StatementFault = (typeof faults)[number];

export interface Statement {
  readonly bytes: Uint8Array;
  /** SSHSIG blobs; one that can be believed is enough. */
  readonly signatures: readonly Uint8Array[];
  readonly namespace: string;
}

/**
 * Undefined for a statement that may be believed; otherwise what kept the best of its signatures from it.
 * @param now epoch seconds, by a clock that is believed
 */
export function findStatementFault(
  { bytes, signatures, namespace }: Statement,
  trustedCas: ReadonlySet<Fingerprint>,
  now: bigint,
): StatementFault | undefined {
  let nearest = 0;
  for (const blob of signatures) {
    const fault = findSignatureFault(decoded(blob), bytes, namespace, trustedCas, now);
    if (fault === undefined) return undefined;
    nearest = Math.max(nearest, faults.indexOf(fault));
  }
  return faults[nearest];
}

function decoded(blob: Uint8Array): Sshsig | undefined {
  try {
    return decodeSshsig(blob);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function findSignatureFault(
  sshsig: Sshsig | undefined,
  bytes: Uint8Array,
  namespace: string,
  trustedCas: ReadonlySet<Fingerprint>,
  now: bigint,
): StatementFault | undefined {
  if (sshsig === undefined) return 'unsigned';
  const signerFault = findSignerFault(sshsig.certificate, trustedCas, now);
  if (signerFault !== undefined) return signerFault;
  return verifySshsig(sshsig, bytes, namespace) ? undefined : 'signature-invalid';
}

/** A user certificate, since `ssh-keygen -Y verify` takes no other; of no use for a login. */
function findSignerFault(
  certificate: Certificate | undefined,
  trustedCas: ReadonlySet<Fingerprint>,
  now: bigint,
): 'signer-untrusted' | 'signer-not-valid-now' | undefined {
  if (certificate === undefined || !isInert(certificate)) return 'signer-untrusted';
  const fault = findCertificateFault(certificate, {
    type: 'user',
    now,
    trustedCas,
    principal: STATEMENT_PRINCIPAL,
    enforcedOptions: new Set(['force-command']),
  });
  if (fault === 'expired' || fault === 'not-yet-valid') return 'signer-not-valid-now';
  return fault === undefined ? undefined : 'signer-untrusted';
}

function isInert({ principals, criticalOptions, extensions }: Certificate): boolean {
  const forced = criticalOptions.find((option) => option.name === 'force-command');
  return (
    principals.length === 1 && extensions.length === 0 && forced !== undefined && optionText(forced) === '/bin/false'
  );
}
