/** Which public keys may be certified at all: type and size. */
import { type PublicKey, keyBits } from '#openssh/public-key.ts';
import type { CertificatePolicy } from '../config/config.ts';

/** Why a key may not be certified, in words for a person; undefined for one that may. */
export function findKeyFault(
  key: PublicKey,
  policy: Pick<CertificatePolicy, 'keyTypes' | 'minRsaBits'>,
): string | undefined {
  if (!policy.keyTypes.has(key.type))
    return `keys of type ${key.type} are not allowed here (certificates.key_types in ca.toml)`;
  if (key.type === 'ssh-rsa' && keyBits(key) < policy.minRsaBits) {
    return `the RSA key has ${keyBits(key)} bits; at least ${policy.minRsaBits} are asked for (certificates.min_rsa_bits in ca.toml)`;
  }
  return undefined;
}
