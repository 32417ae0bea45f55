/**
 * The CA as it is trusted today: its keys change, and who only signs in now and then has to hear of it before an answer is judged. What the
 * CA states is taken over as a host does; when it states nothing, or nothing that is believed, what was trusted before stands, and
 * whatever the CA then answers is judged by that. Does I/O.
 */
import { openClock } from '../clock/clock-record.ts';
import { isFailure } from '../failure.ts';
import { type Authority, requireAuthority, writeAuthority } from '../state/authority.ts';
import { openCaClient, trusted } from './ca-client.ts';
import { pullTrust } from './pull-trust.ts';

/** Nobody waits longer for a CA that does not answer: the request that matters comes after, and says so. */
const PATIENCE_MS = 5_000;

/** @param signal ends the wait; what waits next throws its reason @throws StateError `not-bootstrapped` and others */
export async function currentAuthority(stateDirectory: string, signal?: AbortSignal): Promise<Authority> {
  const held = await requireAuthority(stateDirectory);
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const ending = signal === undefined ? patience : AbortSignal.any([signal, patience]);
  try {
    const clock = await openClock(stateDirectory, held);
    await using client = openCaClient({ ...trusted(held, clock), signal: ending });
    const pulled = await pullTrust(client, held, () => clock.now());
    if (pulled === undefined || pulled.authority === held) return held;
    await writeAuthority(stateDirectory, pulled.authority);
    return pulled.authority;
  } catch (error) {
    if (!isFailure(error) && !ending.aborted) throw error;
    return held;
  }
}
