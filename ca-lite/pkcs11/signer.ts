/** The CA's signer on a PKCS#11 token. Every signature is verified with the public key before it leaves. */
import { keyTypes, type SignatureAlgorithm } from '#openssh/key-type.ts';
import { encodePublicKey, type PublicKey } from '#openssh/public-key.ts';
import { verifySignature } from '#openssh/signature.ts';
import { type Signer, SignerError } from '../signer/signer.ts';
import { HsmError } from '../yubihsm/errors.ts';
import { toSignerError } from '../yubihsm/signer-error.ts';
import { publicKeyOf, requestFor, signatureFrom } from './mechanism.ts';
import type { KeyName, Token } from './token.ts';

/** A CA key in a token. */
export interface TokenKey extends KeyName {
  /** What the key must be; read from the token when not given. */
  publicKey?: PublicKey;
  /** Only of RSA keys; `rsa-sha2-512` when not given. */
  rsaAlgorithm?: 'rsa-sha2-256' | 'rsa-sha2-512';
}

/**
 * A signer with one key of a token; the token is closed by who opened it. Throws {@link HsmError} when there is no such
 * key, when SSH cannot use it, or when it is not the expected one.
 */
export function tokenSigner(token: Token, key: TokenKey): Signer {
  const publicKey = publicKeyOf(token.attributes(key));
  if (key.publicKey && !Buffer.from(encodePublicKey(key.publicKey)).equals(encodePublicKey(publicKey))) {
    throw new HsmError('key-mismatch', 'the key in the token is not the CA key that the configuration names');
  }
  const algorithm = algorithmOf(publicKey, key);
  return {
    publicKey,
    algorithm,
    async sign(data, options) {
      try {
        const raw = await token.sign(key, requestFor(publicKey, algorithm, data), options);
        const signature = signatureFrom(algorithm, raw);
        if (verifySignature(publicKey, data, signature)) return signature;
        throw new SignerError(
          'signature-invalid',
          "the token's signature does not verify with the CA key: it was dropped",
        );
      } catch (error) {
        throw toSignerError(error, options.signal);
      }
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

function algorithmOf(publicKey: PublicKey, { rsaAlgorithm = 'rsa-sha2-512' }: TokenKey): SignatureAlgorithm {
  return publicKey.type === 'ssh-rsa' ? rsaAlgorithm : keyTypes[publicKey.type].signatureAlgorithms[0];
}
