/** The vault of an agent, with the keychain of the system where it may use that. */
import { systemKeychain } from '../keychain/helper-process.ts';
import type { ServiceParts } from './sign-in-service.ts';
import { SessionVault } from './session-vault.ts';

export function openVault({ socket, usesKeychain }: Pick<ServiceParts, 'socket' | 'usesKeychain'>): SessionVault {
  return new SessionVault(usesKeychain ? systemKeychain() : undefined, socket);
}
