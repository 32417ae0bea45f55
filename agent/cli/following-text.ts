/** How commands tell of following the CA: which keys are trusted, what is revoked. */
import type { FollowOutcome, Followed } from '../host/following/follow-authority.ts';
import { isTransportCode } from '../ca/transport-error.ts';
import type { Failure } from '../failure.ts';
import { formatUtc } from './certificate-text.ts';

const deeds: Readonly<Record<Followed, (outcome: FollowOutcome) => string>> = {
  keys: ({ authority: { hostCaKeys, userCaKeys } }) =>
    `the CA has other keys: ${hostCaKeys.length} for hosts and ${userCaKeys.length} for users are trusted now`,
  krl: ({ krlNumber }) => `revocation list ${krlNumber ?? 0n} is in use`,
  sshd: () => 'sshd was told which CA keys and revocations to use',
  repaired: ({ krlNumber }) => `the revocation list was damaged or missing: number ${krlNumber ?? 0n} was put back`,
};

export interface FollowedLine {
  readonly event: `followed-${Followed}`;
  readonly message: string;
}

/** One for each thing that changed. */
export function followedLines(outcome: FollowOutcome): FollowedLine[] {
  return outcome.did.map((what) => ({ event: `followed-${what}`, message: deeds[what](outcome) }));
}

/** A CA out of reach is asked again by itself; everything else stays until somebody looks. */
export function needsLook({ code }: Failure): boolean {
  return !isTransportCode(code) && code !== 'ca-refused';
}

export function followingAsJson({ did, krlNumber, failure, nextAt }: FollowOutcome): unknown {
  return {
    did,
    krlNumber: krlNumber === undefined ? null : String(krlNumber),
    failure:
      failure === undefined ? null : { code: failure.code, message: failure.message, advice: failure.advice ?? null },
    nextAt: formatUtc(nextAt),
  };
}
