/** Puts the parts of signing in together; what they need is loaded with this file. */
import { endAtProvider, renewSession } from './session-renewal.ts';
import { SignInDesk } from './sign-in-desk.ts';
import type { ServiceParts } from './sign-in-service.ts';
import type { SessionVault } from './session-vault.ts';
import { SignInSessions } from './sessions.ts';

export function openSignIn({ store, clock, changes, settings, report }: ServiceParts, vault: SessionVault) {
  const { notify } = changes;
  const sessions = new SignInSessions({ store, clock, vault, notify, report, renew: renewSession, endAtProvider });
  const desk = new SignInDesk({ sessions, settings, notify, report });
  return { sessions, desk };
}
