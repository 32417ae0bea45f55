/**
 * The key of one sign-in: fresh, Ed25519, in memory alone; the nonce that commits the identity provider's answer to it; and its signature over
 * the ID token. Random bytes come from the system.
 */
import { type KeyObject, generateKeyPairSync, randomBytes } from 'node:crypto';
import { encodeBase64, encodeBase64Url } from '#openssh/base64.ts';
import { type Ed25519PublicKey, encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { encodeSshsig, encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import {
  IDENTITY_NAMESPACE,
  type IdentityProof,
  SALT_LENGTH,
  identityNonce,
  identityProofMessage,
} from '#protocol/identity-binding.ts';

export interface BoundKey {
  readonly privateKey: KeyObject;
  readonly publicKey: Ed25519PublicKey;
  readonly blob: Uint8Array;
  readonly salt: Uint8Array;
  /** For the authorization request. */
  readonly nonce: string;
}

export function createBoundKey(): BoundKey {
  return boundKeyOf(generateKeyPairSync('ed25519').privateKey, randomBytes(SALT_LENGTH));
}

/** @param privateKey Ed25519 @param salt 32 bytes @throws TypeError for anything else */
export function boundKeyOf(privateKey: KeyObject, salt: Uint8Array): BoundKey {
  const publicKey = publicKeyFromObject(privateKey);
  if (publicKey.type !== 'ssh-ed25519') throw new TypeError('the key of a sign-in is an Ed25519 key');
  const blob = encodePublicKey(publicKey);
  return { privateKey, publicKey, blob, salt, nonce: identityNonce(blob, salt) };
}

/** @param idToken exactly as it will be sent */
export function proveIdentity({ privateKey, blob, salt }: BoundKey, idToken: string): IdentityProof {
  const message = encodeSshsigToBeSigned(identityProofMessage(idToken), IDENTITY_NAMESPACE);
  const signature = signWithKeyObject(privateKey, 'ssh-ed25519', message);
  return {
    salt: encodeBase64Url(salt),
    signature: encodeBase64(encodeSshsig({ keyBlob: blob, namespace: IDENTITY_NAMESPACE, signature })),
  };
}
