/** Where the secrets of sign-ins outlive the agent: the keychain of the system, through `keytar` in a process of its own. */
import { Failure } from '../../failure.ts';

export type KeychainErrorCode =
  | 'keychain-missing' // no add-on in this installation, or no keychain on this machine
  | 'keychain-locked' // it asked the person and nobody answered
  | 'keychain-refused'; // it said no

export class KeychainError extends Failure<KeychainErrorCode> {
  override readonly name = 'KeychainError';
}

export interface KeychainItem {
  /** Unique for this service. */
  readonly account: string;
  readonly secret: string;
}

export interface Keychain {
  /** @param signal ends the waiting @throws KeychainError */
  list(signal?: AbortSignal): Promise<readonly KeychainItem[]>;
  /** Makes or replaces. @throws KeychainError */
  write(item: KeychainItem): Promise<void>;
  /** An item that is not there is gone. @throws KeychainError */
  remove(account: string): Promise<void>;
}
