/** What the record of CA keys means for a CA that starts: which key signs, which are trusted, which still sign statements. Pure. */
import type { CertificateType } from '#openssh/certificate.ts';
import { encodeBase64 } from '#openssh/base64.ts';
import type { PublicKey } from '#openssh/public-key.ts';
import type { TrustedCaKey } from '#protocol/trust.ts';
import type { SecretName } from '../directory/layout.ts';
import type { CaKeyRecord } from '../store/ca-key-decisions.ts';
import { trustedKey } from '../trust/trusted-keys.ts';

const firstSecrets: Readonly<Record<CertificateType, SecretName>> = { host: 'ssh_host_ca', user: 'ssh_user_ca' };

/** The secret of the key that signs: of `init`, until the first rotation. */
export function currentSecret(keys: readonly CaKeyRecord[], type: CertificateType): SecretName {
  const current = keys.find((key) => key.type === type && key.state === 'current');
  return current === undefined ? firstSecrets[type] : (current.secret as SecretName);
}

/** Of host CA keys that sign no certificates any more, but are still what some hosts know: they vouch for statements. */
export function oldSecrets(keys: readonly CaKeyRecord[]): SecretName[] {
  return keys.filter(({ type, state }) => type === 'host' && state === 'old').map(({ secret }) => secret as SecretName);
}

/** The current key first, then the next and the old ones. @param signing the key that the CA has open */
export function trustedKeys(keys: readonly CaKeyRecord[], type: CertificateType, signing: PublicKey): TrustedCaKey[] {
  const current = trustedKey(signing, 'current');
  const others = keys.flatMap(({ type: ofType, key, fingerprint, state }) =>
    ofType === type && (state === 'next' || state === 'old') && fingerprint !== current.fingerprint
      ? [{ key: encodeBase64(key), fingerprint, state }]
      : [],
  );
  return [current, ...others];
}
