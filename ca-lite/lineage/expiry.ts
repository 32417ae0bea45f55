/** Whether the age of a certificate stands in the way of its renewal, and what would help (docs/lineage.md). Pure. */
import type { RenewalPolicy } from '../config/config.ts';
import { formatDuration } from '../config/duration.ts';
import { type Refusal, refuse } from '../refusal.ts';

/** `fresh`: nothing needed. `dial-back`: policy allows it once the host proved its key again. `grant`: only with a grant. */
export type AgeVerdict = 'fresh' | 'dial-back' | 'grant';

/** @param validBefore @param now epoch seconds; a certificate is expired from `validBefore` on */
export function judgeAge(validBefore: bigint, now: bigint, policy: RenewalPolicy): AgeVerdict {
  if (now < validBefore) return 'fresh';
  if (!policy.allowAfterExpiry) return 'grant';
  if (policy.maxAgeSeconds !== undefined && now - validBefore > BigInt(policy.maxAgeSeconds)) return 'grant';
  return policy.requireDialBack ? 'dial-back' : 'fresh';
}

/** Names the command that an administrator would run. */
export function refusalOfExpired(validBefore: bigint, now: bigint, name: string, lineage: string): Refusal {
  const age = formatDuration(Number(now - validBefore));
  return refuse(
    'renewal-expired',
    `The certificate of ${name} expired ${age} ago, and this CA renews expired ones only by leave. ` +
      `An administrator can give it with: countersign-ca grant --lineage ${lineage} --for 24h`,
  );
}
