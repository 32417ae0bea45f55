/** What the store refused about a user certificate, in words for its owner, with the command that an administrator would run. Pure. */
import type { CertificatePlan } from '../issue/certificate-plan.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import type { SignInRecord, UserRenewalRefusal } from '../store/user-decisions.ts';
import { refusalOfToken, refusalOfUnknown } from './presented.ts';
import type { PresentedUser } from './presented-user.ts';
import type { UserLeave } from './user-leave.ts';

export interface RefusedUser {
  readonly presented: Pick<PresentedUser, 'certificate'>;
  readonly plan: CertificatePlan | Refusal;
  readonly leave: UserLeave;
  readonly signIn: Pick<SignInRecord, 'identity'>;
}

const reasons = {
  off: 'This CA does not renew certificates of this kind by their key.',
  expired: 'The certificate has expired.',
  'too-old': 'The last sign-in is too long ago.',
  'too-often': 'The last sign-in was renewed as often as policy allows.',
} as const;

export function refusalOfUser(refusal: UserRenewalRefusal, { presented, plan, leave, signIn }: RefusedUser): Refusal {
  switch (refusal) {
    case 'token-used':
    case 'token-unknown':
    case 'token-expired':
      return refusalOfToken(refusal);
    case 'certificate-unknown':
      return refusalOfUnknown('user');
    case 'renewal-revoked':
      return refuse(
        refusal,
        'The certificate, its key or its sign-in is revoked; nothing revives it. Sign in again with a new key.',
      );
    case 'policy':
      return isRefusal(plan) ? plan : refuse('internal', 'The CA could not decide. Try again.');
    case 'serial-exists':
      return refuse('internal', 'The CA drew a serial twice. Try again.');
    case 'renewal-expired': {
      const reason = leave.because ?? 'too-often';
      const advice = `Sign in again, or have an administrator allow it once with: ${commandOf(signIn, presented.certificate)}`;
      return refuse(reason === 'expired' ? 'renewal-expired' : 'sign-in-needed', `${reasons[reason]} ${advice}`);
    }
  }
}

/** For a shell as it stands. An identity with anything odd in it is named by the serial. */
function commandOf({ identity }: RefusedUser['signIn'], { serial }: { readonly serial: bigint }): string {
  if (/^[A-Za-z0-9][A-Za-z0-9@._+:/-]{0,255}$/.test(identity))
    return `countersign-ca grant --user ${identity} --for 24h`;
  return /^[A-Za-z0-9_][\x20-\x26\x28-\x7e]{0,511}$/.test(identity)
    ? `countersign-ca grant --user '${identity}' --for 24h`
    : `countersign-ca grant --serial ${serial} --for 24h`;
}
