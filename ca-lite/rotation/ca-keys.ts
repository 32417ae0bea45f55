/** What the record of CA keys means: which key signs, which are trusted, which are to be held open. Pure. */
import type { CertificateType } from '#openssh/certificate.ts';
import { encodeBase64 } from '#openssh/base64.ts';
import type { PublicKey } from '#openssh/public-key.ts';
import type { TrustedCaKey } from '#protocol/trust.ts';
import type { CaKeyRecord } from '../store/ca-key-decisions.ts';
import { trustedKey } from '../trust/trusted-keys.ts';

export function currentKey(keys: readonly CaKeyRecord[], type: CertificateType): CaKeyRecord | undefined {
  return keys.find((key) => key.type === type && key.state === 'current');
}

/**
 * Keys that a CA holds open: the current ones; the next ones, so that the switch finds them ready; and old host CA keys, which sign no
 * certificates any more but are still what some hosts know, so they vouch for statements.
 */
export function heldKeys(keys: readonly CaKeyRecord[]): CaKeyRecord[] {
  return keys.filter(
    ({ type, state }) => state === 'current' || state === 'next' || (type === 'host' && state === 'old'),
  );
}

/** The current key first, then the next and the old ones. @param first what signs while no key of that type is on record */
export function trustedKeys(keys: readonly CaKeyRecord[], type: CertificateType, first: PublicKey): TrustedCaKey[] {
  const current = currentKey(keys, type);
  const others = keys.flatMap(({ type: ofType, key, fingerprint, state }) =>
    ofType === type && (state === 'next' || state === 'old') ? [{ key: encodeBase64(key), fingerprint, state }] : [],
  );
  const leading: TrustedCaKey =
    current === undefined
      ? trustedKey(first, 'current')
      : { key: encodeBase64(current.key), fingerprint: current.fingerprint, state: 'current' };
  return [leading, ...others];
}
