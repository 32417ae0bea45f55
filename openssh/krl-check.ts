/**
 * Asks a KRL about a key or certificate, in the order and with the rules of sshd (krl.c, `ssh_krl_check_key`): the key and its
 * fingerprints, then, of a certificate, key ID and serial under its own CA and under any CA, then the CA's key itself.
 * Serial 0 is never revoked by serial: it means that there is none.
 */
import { hash } from 'node:crypto';
import type { Certificate } from './certificate.ts';
import type { Krl, RevokedCertificates } from './krl.ts';
import { type PublicKey, encodePublicKey } from './public-key.ts';
import { equalBytes } from './wire.ts';

export type Revocation = 'key' | 'fingerprint' | 'key-id' | 'serial' | 'ca';

/** Why it is revoked, or undefined when it is not. */
export function findRevocation(krl: Krl, subject: PublicKey | Certificate): Revocation | undefined {
  if (!('signatureKey' in subject)) return findKeyRevocation(krl, encodePublicKey(subject));
  const ca = encodePublicKey(subject.signatureKey);
  return (
    findKeyRevocation(krl, encodePublicKey(subject.key)) ??
    findCertificateRevocation(krl, subject, ca) ??
    (findKeyRevocation(krl, ca) === undefined ? undefined : 'ca')
  );
}

export function isRevoked(krl: Krl, subject: PublicKey | Certificate): boolean {
  return findRevocation(krl, subject) !== undefined;
}

function findKeyRevocation(krl: Krl, blob: Uint8Array): 'key' | 'fingerprint' | undefined {
  if (includes(krl.sha1Fingerprints, hash('sha1', blob, 'buffer'))) return 'fingerprint';
  if (includes(krl.sha256Fingerprints, hash('sha256', blob, 'buffer'))) return 'fingerprint';
  return includes(krl.keys, blob) ? 'key' : undefined;
}

function findCertificateRevocation(
  krl: Krl,
  certificate: Certificate,
  ca: Uint8Array,
): 'key-id' | 'serial' | undefined {
  for (const revoked of krl.certificates) {
    if (revoked.ca !== undefined && !equalBytes(revoked.ca, ca)) continue;
    const found = findIn(revoked, certificate);
    if (found !== undefined) return found;
  }
  return undefined;
}

function findIn({ keyIds, serials }: RevokedCertificates, certificate: Certificate): 'key-id' | 'serial' | undefined {
  if (keyIds.includes(certificate.keyId)) return 'key-id';
  return certificate.serial !== 0n && serials.has(certificate.serial) ? 'serial' : undefined;
}

/** By halving: a `Krl` is sorted. */
function includes(sorted: readonly Uint8Array[], wanted: Uint8Array): boolean {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = Buffer.compare(sorted[middle] ?? wanted, wanted);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}
