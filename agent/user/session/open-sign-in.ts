/** Puts the parts of signing in together; what they need is loaded with this file. */
import { systemKeychain } from '../keychain/helper-process.ts';
import { endAtProvider, renewSession } from './session-renewal.ts';
import { SignInDesk } from './sign-in-desk.ts';
import type { ServiceParts } from './sign-in-service.ts';
import { SignInSessions } from './sessions.ts';
import { SessionVault } from './session-vault.ts';

export function openSignIn({ store, clock, changes, settings, socket, usesKeychain, report }: ServiceParts) {
  const { notify } = changes;
  const vault = new SessionVault(usesKeychain ? systemKeychain() : undefined, socket);
  const sessions = new SignInSessions({ store, clock, vault, notify, report, renew: renewSession, endAtProvider });
  const desk = new SignInDesk({ sessions, settings, notify, report });
  return { vault, sessions, desk };
}
