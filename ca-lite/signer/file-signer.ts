/** A CA key in this process, from an encrypted file. Each signature is verified before it is let out (a fault in the arithmetic must not leak the key). */
import type { KeyObject } from 'node:crypto';
import { createPublicKey, sign as signCallback, verify as verifyCallback } from 'node:crypto';
import { promisify } from 'node:util';
import { type SignatureAlgorithm, keyTypes } from '#openssh/key-type.ts';
import { type PublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { type Signature, digestOf, ecdsaBlobFromFixed } from '#openssh/signature.ts';
import { type Signer, SignerError } from './signer.ts';

// With a callback node:crypto works in its thread pool: the loop goes on serving while a signature is made and checked.
const signInPool = promisify(signCallback);
const verifyInPool = promisify(verifyCallback);

export class FileSigner implements Signer {
  readonly publicKey: PublicKey;
  readonly algorithm: SignatureAlgorithm;
  readonly #privateKey: KeyObject;
  readonly #publicObject: KeyObject;

  constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey;
    this.#publicObject = createPublicKey(privateKey);
    this.publicKey = publicKeyFromObject(privateKey);
    this.algorithm = keyTypes[this.publicKey.type].signatureAlgorithms[0];
  }

  async sign(data: Uint8Array): Promise<Signature> {
    const digest = digestOf(this.algorithm);
    const isEcdsa = this.algorithm.startsWith('ecdsa-');
    const options = isEcdsa ? ({ dsaEncoding: 'ieee-p1363' } as const) : {};
    const raw = await signInPool(digest, data, { key: this.#privateKey, ...options });
    if (!(await verifyInPool(digest, data, { key: this.#publicObject, ...options }, raw))) {
      throw new SignerError(
        'signature-invalid',
        'The CA key made a signature that does not verify. Check the memory of this machine.',
      );
    }
    return { algorithm: this.algorithm, blob: isEcdsa ? ecdsaBlobFromFixed(raw) : raw };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
