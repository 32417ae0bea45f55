/**
 * When a certificate is to be renewed: at two thirds of its lifetime, plus a share of a twelfth that differs from certificate to
 * certificate, so that hosts that enrolled together do not come back together. The share is drawn from the certificate itself: every
 * run, and the CA's own rule for waiting successors, agree on the moment without anything being remembered. Pure.
 */
import { hash } from 'node:crypto';
import type { Certificate } from '#openssh/certificate.ts';

const SPREAD_DIVISOR = 12n;
/** Resolution of the share. */
const SHARES = 65_536n;

/** Epoch seconds from which on it is due; never after its end. */
export function renewalDueAt({
  validAfter,
  validBefore,
  blob,
}: Pick<Certificate, 'validAfter' | 'validBefore' | 'blob'>): bigint {
  const lifetime = validBefore - validAfter;
  return validAfter + (lifetime * 2n) / 3n + (lifetime * shareOf(blob)) / (SPREAD_DIVISOR * SHARES);
}

/** From 0 on and below 65,536: the same for the same bytes. */
export function shareOf(blob: Uint8Array): bigint {
  return BigInt(hash('sha256', blob, 'buffer').readUInt16BE(0));
}

/** A moment between `from` and `from` + `seconds`, by the same share. */
export function spreadOver(from: bigint, seconds: bigint, blob: Uint8Array): bigint {
  return from + (seconds * shareOf(blob)) / SHARES;
}
