/** `countersign host status`: which CA keys are trusted, and what is revoked. */
import { countsOf } from '../host/doctor/following-checks.ts';
import type { FollowingStatus, KrlState } from '../host/following/following-status.ts';
import { formatUtc } from './certificate-text.ts';

const states: Readonly<Record<Exclude<KrlState, 'in-use'>, string>> = {
  'not-wanted': 'not needed: sshd takes no user certificates through us',
  none: 'none yet: countersign host renew',
  'other-file': 'not in use: RevokedKeys is set to another file',
  unreadable: 'damaged, sshd refuses every key: countersign host renew',
};

export function formatFollowing({ standing, trustNumber, krlState, krl, askedAt, failure }: FollowingStatus): string[] {
  const { trustedHostCas, trustedUserCas } = standing;
  const from = trustNumber === undefined ? 'of the first contact' : `of list ${trustNumber}`;
  const asked = askedAt === undefined ? 'never' : formatUtc(askedAt);
  const revoked =
    krlState === 'in-use' && krl !== null
      ? `list ${krl.number} of ${formatUtc(BigInt(krl.takenAt))}: ${countsOf(krl)}`
      : krlState === 'in-use'
        ? 'in use'
        : states[krlState];
  return [
    `CA keys    ${trustedHostCas.length} for hosts, ${trustedUserCas.length} for users, ${from}`,
    `revoked    ${revoked}`,
    `CA asked   ${asked}${failure === undefined ? '' : `, failed since [${failure}]`}`,
  ];
}

export function followingStatusAsJson(status: FollowingStatus): unknown {
  const { standing, trustNumber, krlState, krl, askedAt, failure } = status;
  return {
    ...standing,
    trustNumber: trustNumber ?? null,
    krlState,
    krl:
      krl === null
        ? null
        : { number: krl.number, serials: krl.serials, keys: krl.keys, takenAt: formatUtc(BigInt(krl.takenAt)) },
    askedAt: askedAt === undefined ? null : formatUtc(askedAt),
    failure: failure ?? null,
  };
}
