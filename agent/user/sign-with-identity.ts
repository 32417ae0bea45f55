/**
 * Signing with a key in this process: at once for the fast algorithms, in OpenSSL's thread pool for those that would hold
 * up every other client (RSA-3072 takes 50 times as long as Ed25519).
 */
import { type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import type { SignatureAlgorithm } from '#openssh/key-type.ts';
import { digestOf, ecdsaBlobFromFixed, encodeSignature, signWithKeyObject } from '#openssh/signature.ts';

const fastAlgorithms: ReadonlySet<SignatureAlgorithm> = new Set(['ssh-ed25519', 'ecdsa-sha2-nistp256']);

export function isFast(algorithm: SignatureAlgorithm): boolean {
  return fastAlgorithms.has(algorithm);
}

/** In SSH encoding: algorithm and blob. */
export function signNow(privateKey: KeyObject, algorithm: SignatureAlgorithm, data: Uint8Array): Uint8Array {
  return encodeSignature(signWithKeyObject(privateKey, algorithm, data));
}

const signInPool = promisify<string | null, Uint8Array, { key: KeyObject; dsaEncoding: 'ieee-p1363' }, Buffer>(sign);

/** In SSH encoding: algorithm and blob. */
export async function signLater(
  privateKey: KeyObject,
  algorithm: SignatureAlgorithm,
  data: Uint8Array,
): Promise<Uint8Array> {
  const raw = await signInPool(digestOf(algorithm), data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const blob = algorithm.startsWith('ecdsa-') ? ecdsaBlobFromFixed(raw) : raw;
  return encodeSignature({ algorithm, blob });
}
