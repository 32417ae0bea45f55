/** Checks of the trusted CA: whether it answers, what time it has, and whether it still has the keys that were pinned. */
import { encodePublicKey } from '#openssh/public-key.ts';
import { HealthReply } from '#protocol/step-api.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { type CaClient, openCaClient, trusted } from '../../ca/ca-client.ts';
import { fetchCaKeys } from '../../ca/trust.ts';
import type { Clock } from '../../clock/clock.ts';
import { describeSeconds } from '../../clock/describe.ts';
import { type Authority, fingerprintsOf } from '../../state/authority.ts';
import { findingOf } from './failure-finding.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** The CA tolerates a little; beyond that challenges and certificates look expired or not yet valid. */
const CLOCK_WARN_SECONDS = 30;
const CLOCK_FAIL_SECONDS = 60;

/** The clock believes the CA's signed time from then on, where the CA told it. */
export async function checkCa(authority: Authority, clock: Clock): Promise<Finding[]> {
  await using client = openCaClient(trusted(authority, clock));
  try {
    await client.askTime();
    const time = clockFinding(clock.anchor?.wallMs ?? 0, clock.anchor?.trueMs ?? 0);
    await client.get('/health', HealthReply);
    return [ok('ca', `${authority.url} answers, under the pinned root`), time, await checkKeys(authority, client)];
  } catch (error) {
    return [findingOf('ca', error, 'Check the address and the network.')];
  }
}

/** Both in epoch milliseconds; the CA's has whole seconds. */
export function clockFinding(localMs: number, caMs: number): Finding {
  const seconds = Math.round((localMs - caMs) / 1000);
  const words = `the clock here is ${describeSeconds(Math.abs(seconds))} ${seconds < 0 ? 'behind' : 'ahead of'} the CA's`;
  const advice =
    'Renewals go on by the signed time of the CA. For everything else, set the clock right, best by NTP: timedatectl set-ntp true';
  if (Math.abs(seconds) > CLOCK_FAIL_SECONDS) return fail('clock', words, advice);
  if (Math.abs(seconds) > CLOCK_WARN_SECONDS) return warn('clock', words, advice);
  return ok('clock', Math.abs(seconds) <= 1 ? 'the clock agrees with that of the CA' : words);
}

async function checkKeys(authority: Authority, client: CaClient): Promise<Finding> {
  const current = await fetchCaKeys(client);
  const hasCommon = !fingerprintsOf(current.hostCaKeys).isDisjointFrom(fingerprintsOf(authority.hostCaKeys));
  const again = hasCommon
    ? 'They are taken over at the next look, by the daemon or: countersign host renew'
    : `This machine was away for a whole change of keys. Run: countersign bootstrap --ca ${authority.url} --fingerprint ${authority.rootFingerprint}\nA host then enrols again: countersign host enroll`;
  const pinned = fingerprintsOf([...authority.hostCaKeys, ...authority.userCaKeys]);
  const unknown = [...current.hostCaKeys, ...current.userCaKeys].filter(
    (key) => !pinned.has(fingerprintOf(encodePublicKey(key))),
  );
  if (unknown.length > 0) return warn('ca-keys', 'the CA has SSH keys that are not trusted here yet', again);
  const announced = fingerprintsOf([...current.hostCaKeys, ...current.userCaKeys]);
  if (!pinned.isSubsetOf(announced))
    return warn('ca-keys', 'the CA has given up SSH keys that are trusted here', again);
  return ok('ca-keys', 'the SSH keys of the CA are the trusted ones');
}
