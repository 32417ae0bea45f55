/** Failures of `countersign ssh-config`. */
import { Failure } from '../../failure.ts';

export type SshConfigErrorCode =
  | 'block-damaged' // somebody edited our lines in the user's file
  | 'host-unproven' // it shows no certificate that speaks for its name
  | 'hosts-invalid'
  | 'not-installed' // there is nothing to refresh
  | 'path-unusable'
  | 'files-unusable'; // cannot be read or written

export class SshConfigError extends Failure<SshConfigErrorCode> {
  override readonly name = 'SshConfigError';
}
