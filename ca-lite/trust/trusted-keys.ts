/** The CA keys that hosts and clients are to trust: what `GET /ssh/trust` says, and what certificates of hosts are judged by. */
import { encodeBase64 } from '#openssh/base64.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { type PublicKey, encodePublicKey } from '#openssh/public-key.ts';
import type { TrustedCaKey } from '#protocol/trust.ts';

export interface TrustedKeys {
  /** Grows with each change. */
  readonly number: number;
  /** The current one first. */
  readonly hostCas: readonly TrustedCaKey[];
  readonly userCas: readonly TrustedCaKey[];
}

export function trustedKey(key: PublicKey, state: TrustedCaKey['state']): TrustedCaKey {
  const blob = encodePublicKey(key);
  return { key: encodeBase64(blob), fingerprint: fingerprintOf(blob), state };
}
