/** The public half of a key, from the YubiHSM's form into SSH's. Pure. */
import type { PublicKey } from '#openssh/public-key.ts';
import type { SignatureAlgorithm } from '#openssh/key-type.ts';
import type { KeyKind } from './algorithms.ts';
import type { RawPublicKey } from './commands/asymmetric.ts';
import { concat, u8 } from './wire.ts';

const ecdsaTypes = {
  ecp256: 'ecdsa-sha2-nistp256',
  ecp384: 'ecdsa-sha2-nistp384',
  ecp521: 'ecdsa-sha2-nistp521',
} as const;

/** The SSH public key of a key of the device. */
export function sshPublicKey(raw: RawPublicKey): PublicKey {
  switch (raw.kind) {
    case 'ed25519':
      return { type: 'ssh-ed25519', key: raw.bytes };
    case 'rsa2048':
    case 'rsa3072':
    case 'rsa4096':
      return { type: 'ssh-rsa', exponent: Uint8Array.of(1, 0, 1), modulus: raw.bytes };
    default:
      return { type: ecdsaTypes[raw.kind], point: concat(u8(4), raw.bytes) };
  }
}

/** The signature algorithm that keys of a kind make when nobody asks for another. */
export function defaultSignatureAlgorithm(kind: KeyKind): SignatureAlgorithm {
  if (kind === 'ed25519') return 'ssh-ed25519';
  if (kind === 'rsa2048' || kind === 'rsa3072' || kind === 'rsa4096') return 'rsa-sha2-512';
  return ecdsaTypes[kind];
}
