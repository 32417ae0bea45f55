/** Checks of what the host follows its CA in: is what was revoked refused by sshd, and was the CA asked lately? */
import type { FollowingStatus, KrlState } from '../following/following-status.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** Asked several times an hour, the CA was out of reach for this long. */
const SILENCE_SECONDS = 24n * 3600n;
const RENEW = 'Run: countersign host renew';

export function checkFollowing(status: FollowingStatus, now: bigint): Finding[] {
  return [krlFinding(status), askedFinding(status, now)];
}

export function krlFinding({ krlState, krl }: Pick<FollowingStatus, 'krlState' | 'krl'>): Finding {
  const findings: Readonly<Record<KrlState, Finding>> = {
    'in-use': ok('revocations', `sshd uses revocation list ${krl?.number ?? '?'}: ${countsOf(krl)}`),
    'not-wanted': ok('revocations', 'sshd takes no user certificates through us, and needs no revocation list'),
    none: warn('revocations', 'sshd has no revocation list yet: who is revoked can still log in', RENEW),
    'other-file': warn(
      'revocations',
      'RevokedKeys is set to another file: what the CA revokes is not refused by sshd',
      'Take that line out of the configuration of sshd, then: countersign host renew',
    ),
    unreadable: fail('revocations', 'the revocation list of sshd is damaged: it refuses every key', RENEW),
  };
  return findings[krlState];
}

export function countsOf(krl: FollowingStatus['krl']): string {
  return krl === null ? 'nothing is known of it' : `${krl.serials} certificates and ${krl.keys} keys`;
}

export function askedFinding({ askedAt, failure }: Pick<FollowingStatus, 'askedAt' | 'failure'>, now: bigint): Finding {
  const advice = 'countersign host renew tries it now, and tells why it fails.';
  if (failure !== undefined) return warn('follows-ca', `the CA could not be followed lately [${failure}]`, advice);
  if (askedAt === undefined) return warn('follows-ca', 'the CA was never asked which keys to trust', RENEW);
  const hours = (now - askedAt) / 3600n;
  if (now - askedAt > SILENCE_SECONDS) return warn('follows-ca', `the CA was last asked ${hours} h ago`, advice);
  return ok('follows-ca', `the CA was asked ${(now - askedAt) / 60n} min ago which keys to trust and what is revoked`);
}
