/** Turns what went wrong with a device into what a signer tells the CA. */
import { SignerError } from '../signer/signer.ts';
import { HsmError, type HsmErrorCode, HsmOverloadedError } from './errors.ts';

/** What is wrong with this one certificate. A device that lacks a key or a capability signs no other one either: that is for the operator. */
const refused: readonly HsmErrorCode[] = [
  'template-violation',
  'message-too-long',
  'device-invalid-data',
  'device-ssh-constraint-violation',
  'device-wrong-length',
];

/** The signer's error for a device's. Anything else is returned as it is. */
export function toSignerError(error: unknown, signal?: AbortSignal): unknown {
  if (!(error instanceof HsmError)) return error;
  const options = { cause: error };
  if (error instanceof HsmOverloadedError) {
    const { retryAfterSeconds } = error;
    return new SignerError('signer-overloaded', error.message, { ...options, retryAfterSeconds });
  }
  if (refused.includes(error.code)) return new SignerError('signer-refused', error.message, options);
  if (error.code === 'unavailable' && signal?.aborted) return new SignerError('aborted', error.message, options);
  return new SignerError('signer-unavailable', error.message, options);
}
