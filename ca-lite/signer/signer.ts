/**
 * What the CA needs of a key: its public half and signatures, wherever the private half lives.
 * Implementations: an encrypted file (`file-signer.ts`), a YubiHSM, PKCS#11; all pass the same contract suite.
 */
import type { SignatureAlgorithm } from '#openssh/key-type.ts';
import type { PublicKey } from '#openssh/public-key.ts';
import type { Signature } from '#openssh/signature.ts';

export interface SignOptions {
  /** Users wait at a keyboard; hosts renew days ahead. A signer with a queue serves users first. */
  readonly priority: 'user' | 'host';
  /** Gives up waiting in the queue; a signature that has started is finished. */
  readonly signal?: AbortSignal;
}

export interface Signer extends AsyncDisposable {
  readonly publicKey: PublicKey;
  /** The algorithm of every signature it makes. */
  readonly algorithm: SignatureAlgorithm;
  /**
   * Signs `data`, the complete to-be-signed bytes (of a certificate: a template signer reads them).
   * @throws SignerError
   */
  sign(data: Uint8Array, options: SignOptions): Promise<Signature>;
}

export type SignerErrorCode =
  | 'signer-overloaded' // the queue is full: come back in `retryAfterSeconds`
  | 'signer-unavailable' // the device or token does not answer, or is not set up to sign (a capability or a key is missing)
  | 'signer-refused' // the device refuses this certificate (template constraint)
  | 'signature-invalid' // what came back does not verify: nothing was let out
  | 'aborted';

export class SignerError extends Error {
  override readonly name = 'SignerError';
  readonly code: SignerErrorCode;
  /** Whole seconds until a retry makes sense; only of `signer-overloaded`. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: SignerErrorCode, message: string, options: ErrorOptions & { retryAfterSeconds?: number } = {}) {
    super(message, options);
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
