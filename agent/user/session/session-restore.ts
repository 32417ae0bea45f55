/** Reads back the sessions that outlived the agent. A desktop may unlock its keychain some time after the agent has started. */
import { Alarm } from '../../schedule/alarm.ts';
import type { Session } from './session.ts';
import type { SessionVault } from './session-vault.ts';

/** Between attempts, in milliseconds; after the last one the person has to sign in. */
const PAUSES: readonly number[] = [5000, 30_000, 120_000, 600_000];

/** @param isStillWanted false ends it @returns undefined when the keychain could not be read in all that time */
export async function readSessions(
  vault: Pick<SessionVault, 'load'>,
  isStillWanted: () => boolean,
  signal: AbortSignal,
): Promise<readonly Session[] | undefined> {
  for (const pause of PAUSES) {
    const found = await vault.load(signal);
    if (found !== undefined || !isStillWanted()) return found;
    await new Alarm().wait(pause, signal);
    if (signal.aborted) return undefined;
  }
  return vault.load(signal);
}

/** Of several sign-ins with one provisioner of one CA only the last counts: the rest was left by an agent that could not read the keychain. */
export function splitReplaced(found: readonly Session[]): {
  readonly current: Session[];
  readonly replaced: Session[];
} {
  const newest = new Map<string, Session>();
  const replaced: Session[] = [];
  for (const session of found.toSorted((a, b) => a.signedInAt - b.signedInAt)) {
    const place = `${session.caUrl} ${session.provisionerName}`;
    const earlier = newest.get(place);
    if (earlier !== undefined) replaced.push(earlier);
    newest.set(place, session);
  }
  return { current: [...newest.values()], replaced };
}
