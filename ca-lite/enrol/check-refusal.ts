/** What an enrolment is told when DNS, the policy for addresses, or the dial-back says no: code and words for each outcome. */
import type { ApiErrorCode } from '#protocol/api-error.ts';
import type { IpAddress } from '../address/address.ts';
import type { Denial } from '../address/dialable.ts';
import { type FailedResult, explainFailure } from '../dial-back/outcome.ts';
import type { HostName } from '../dns/host-name.ts';
import type { UnresolvedCode } from '../dns/resolver.ts';
import { type Refusal, refuse } from '../refusal.ts';

const RETRY_SECONDS = 5;

/** Why a check was not begun. */
export function refusalOfSlot(code: 'busy' | 'aborted'): Refusal {
  return code === 'busy'
    ? refuse(
        'overloaded',
        'Too many checks are under way for this requester. Try again in a few seconds.',
        RETRY_SECONDS,
      )
    : refuse('stopping', 'The request ended before the check began.');
}

export function refusalOfAddress({ text }: IpAddress, denial: Denial): Refusal {
  return denial === 'not-allowed'
    ? refuse('address-not-allowed', `${text} is not in enrolment.addresses of this CA.`)
    : refuse('address-forbidden', `${text} is never dialled back (${denial}), whatever the policy says.`);
}

const resolutionCodes: Readonly<Record<UnresolvedCode, { readonly code: ApiErrorCode; readonly why: string }>> = {
  'name-not-found': { code: 'name-not-found', why: 'does not exist in DNS as this CA sees it' },
  'no-addresses': { code: 'name-not-found', why: 'has no address in DNS as this CA sees it' },
  'dns-failed': {
    code: 'name-unresolvable',
    why: 'could not be resolved: the name server of this CA failed. Try again',
  },
  'dns-timeout': { code: 'name-unresolvable', why: 'could not be resolved in time. Try again' },
  'dns-bad-answer': { code: 'name-unresolvable', why: 'could not be resolved: the answer makes no sense' },
  'too-many-addresses': { code: 'name-address-mismatch', why: 'resolves to more addresses than one host may have' },
  'cname-loop': { code: 'name-address-mismatch', why: 'is an alias that leads back to itself' },
  'cname-chain-too-long': {
    code: 'name-address-mismatch',
    why: 'is an alias of an alias of an alias, and so on, for too long',
  },
  'dns-busy': { code: 'overloaded', why: 'was not looked up, since too many look-ups are under way. Try again later' },
  aborted: { code: 'stopping', why: 'was not looked up, since the request ended' },
};

export function refusalOfResolution(name: HostName, unresolved: UnresolvedCode): Refusal {
  const { code, why } = resolutionCodes[unresolved];
  const retry = code === 'overloaded' || code === 'name-unresolvable' ? RETRY_SECONDS : undefined;
  return refuse(code, `${name} ${why}.`, retry);
}

const dialBackCodes: Readonly<Record<FailedResult['code'], ApiErrorCode>> = {
  unreachable: 'dial-back-unreachable',
  'not-ssh': 'dial-back-not-ssh',
  'handshake-failed': 'dial-back-handshake-failed',
  'signature-invalid': 'dial-back-signature-invalid',
  'key-not-found': 'dial-back-key-not-found',
  'too-slow': 'dial-back-too-slow',
  'too-much-data': 'dial-back-too-much-data',
  'dial-back-busy': 'overloaded',
  aborted: 'stopping',
};

export function refusalOfDialBack(result: FailedResult): Refusal {
  const code = dialBackCodes[result.code];
  return refuse(code, explainFailure(result), code === 'overloaded' ? RETRY_SECONDS : undefined);
}
