/**
 * One look at everything that this host has from its CA: first the CA keys to trust and what is revoked, so that a certificate of a new CA
 * key is known when it comes; then the certificates. When the CA says in its answer that more was revoked meanwhile, that is fetched at
 * once and reported. To be called with the lock held. Does I/O.
 */
import type { Authority } from '../state/authority.ts';
import { type FollowOutcome, followAuthority } from './following/follow-authority.ts';
import type { HostPlaces } from './host-context.ts';
import { readHostRecord } from './host-record.ts';
import { type KeyOutcome, type PassOptions, type PassOutcome, runRenewalPass } from './renewal/renewal-pass.ts';

export interface HostPassOptions extends PassOptions {
  /** Ask what to trust and what is revoked, whenever that was asked last. */
  readonly followNow: boolean;
  /** Seconds between two such questions; default: `ASK_EVERY_SECONDS`. */
  readonly followEverySeconds?: number;
}

export interface HostPassOutcome extends PassOutcome {
  readonly following: FollowOutcome;
}

/** @throws StateError, RenewalError, and the reason of an abort */
export async function runHostPass(
  places: HostPlaces,
  authority: Authority,
  options: HostPassOptions,
): Promise<HostPassOutcome> {
  const { stateDirectory } = places;
  if ((await readHostRecord(stateDirectory)) === undefined) {
    const following = { authority, did: [], krlNumber: undefined, failure: undefined, nextAt: options.clock.now() };
    return { ...(await runRenewalPass(places, authority, options)), following }; // says that it is not enrolled
  }
  const { followEverySeconds } = options;
  const rhythm = followEverySeconds === undefined ? {} : { everySeconds: followEverySeconds };
  const following = await followAuthority(places, authority, { ...options, ...rhythm, urgent: options.followNow });
  const outcome = await runRenewalPass(places, following.authority, options);
  if (!isBehind(following, outcome)) return { ...outcome, following };
  const later = await followAuthority(places, following.authority, { ...options, ...rhythm, urgent: true });
  const reported = await runRenewalPass(places, later.authority, { ...options, force: false });
  return {
    ...reported,
    keys: reported.keys.map((key) => joined(key, outcome.keys)),
    following: both(following, later),
  };
}

/** sshd uses the KRL of this CA, and the CA has another one. */
function isBehind({ krlNumber, failure }: FollowOutcome, { krlNumber: told }: PassOutcome): boolean {
  return failure === undefined && krlNumber !== undefined && told !== undefined && BigInt(told) !== krlNumber;
}

function both(first: FollowOutcome, second: FollowOutcome): FollowOutcome {
  return { ...second, did: [...new Set([...first.did, ...second.did])] };
}

/** What was done for a key in the first round, and how it is after the second. */
function joined(after: KeyOutcome, before: readonly KeyOutcome[]): KeyOutcome {
  const first = before.find(({ fingerprint }) => fingerprint === after.fingerprint);
  if (first === undefined) return after;
  const { did, changedNames, reported } = first;
  return {
    ...after,
    did: did === 'nothing' ? after.did : did,
    changedNames: [...new Set([...changedNames, ...after.changedNames])],
    reported: reported || after.reported,
    failure: first.failure ?? after.failure,
  };
}
