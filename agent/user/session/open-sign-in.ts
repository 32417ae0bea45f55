/** Puts the parts of signing in together; what they need is loaded with this file. */
import { endAtProvider, renewSession } from './session-renewal.ts';
import { SignInDesk } from './sign-in-desk.ts';
import type { ServiceParts } from './sign-in-service.ts';
import type { SessionVault } from './session-vault.ts';
import { SignInSessions } from './sessions.ts';

export function openSignIn(parts: ServiceParts, vault: SessionVault) {
  const { store, clock, changes, settings, report, certified = () => undefined } = parts;
  const { notify } = changes;
  const asking = { renew: renewSession, endAtProvider };
  const sessions = new SignInSessions({ store, clock, vault, notify, certified, report, ...asking });
  const desk = new SignInDesk({ sessions, settings, notify, report });
  return { sessions, desk };
}
