/** Whether policy alone renews a user certificate at this moment, or only an administrator's grant does. Pure. */
import type { UserRenewalPolicy } from '../config/config.ts';

export interface UserLeave {
  readonly needsGrant: boolean;
  /** Why it does: `off`, no policy renews it; `expired`, the certificate; `too-old`, the sign-in. */
  readonly because: 'off' | 'expired' | 'too-old' | null;
  /** Epoch seconds: no certificate of this sign-in is valid longer. Undefined where policy is off. */
  readonly until: bigint | undefined;
  /** Renewals of one sign-in, at most. */
  readonly times: number;
}

/** @param validBefore of the certificate that asks @param signedInAt @param now epoch seconds; a certificate is expired from `validBefore` on */
export function judgeSignIn(
  validBefore: bigint,
  signedInAt: bigint,
  now: bigint,
  policy: UserRenewalPolicy | undefined,
): UserLeave {
  const until = policy === undefined ? undefined : signedInAt + BigInt(policy.forSeconds);
  const because = findReason(validBefore, until, now);
  return { needsGrant: because !== null, because, until, times: policy?.times ?? 0 };
}

function findReason(validBefore: bigint, until: bigint | undefined, now: bigint): UserLeave['because'] {
  if (now >= validBefore) return 'expired';
  if (until === undefined) return 'off';
  return now >= until ? 'too-old' : null;
}
