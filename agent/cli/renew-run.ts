/** `countersign host renew`: one pass, and how it tells. */
import { type HostPassOutcome, runHostPass } from '../host/host-pass.ts';
import type { HostPolicy } from '../host/host-policy.ts';
import type { KeyOutcome } from '../host/renewal/renewal-pass.ts';
import { openClock } from '../clock/clock-record.ts';
import { requireAuthority } from '../state/authority.ts';
import { describeCertificate, formatUtc } from './certificate-text.ts';
import { describeJudgement, judgementAsJson } from './clock-text.ts';
import { followedLines, followingAsJson, needsLook } from './following-text.ts';
import type { RenewOptions } from './host.ts';
import { beginChange, placesOf } from './host-places.ts';
import { catchInterrupts } from './interrupt.ts';
import { createProgress } from './progress.ts';

/** @throws StateError, HostError, CaError: the first failure, after everything had its turn */
export async function runRenew(options: RenewOptions, policy: HostPolicy): Promise<void> {
  const { reportEverySeconds, followEverySeconds } = policy;
  const places = placesOf(options);
  const progress = createProgress(process.stderr, { silent: options.json === true });
  const authority = await requireAuthority(places.stateDirectory);
  const clock = await openClock(places.stateDirectory, authority);
  using interrupts = catchInterrupts();
  await using _change = await beginChange(places, progress);
  const outcome = await progress.run('Looking at the certificates of this host', async () =>
    runHostPass(places, authority, {
      force: options.force === true,
      followNow: true,
      reportEverySeconds,
      followEverySeconds,
      clock,
      signal: interrupts.signal,
      onWait: (seconds) => progress.note(`the CA is busy and asked to wait ${seconds} s`),
    }),
  );
  process.stdout.write(
    options.json === true ? `${JSON.stringify(passAsJson(outcome), null, 2)}\n` : formatPass(outcome),
  );
  const ofKeys = outcome.keys.flatMap((key) => key.failure ?? []);
  const unfollowed = outcome.following.failure;
  const isGrave = unfollowed !== undefined && needsLook(unfollowed);
  const [failure, ...others] = isGrave ? [...ofKeys, unfollowed] : ofKeys;
  for (const { message } of others) if (message !== failure?.message) progress.note(message);
  if (unfollowed !== undefined && !isGrave && unfollowed.message !== failure?.message) {
    progress.note(`which keys to trust and what is revoked stays as it was: ${unfollowed.message}`);
  }
  if (failure !== undefined) throw failure;
}

export function passAsJson({ keys, clock, following }: HostPassOutcome): unknown {
  return { keys: keys.map(keyAsJson), clock: judgementAsJson(clock), following: followingAsJson(following) };
}

function keyAsJson({ path, fingerprint, certificate, failure, waitingAfter, nextAt, ...rest }: KeyOutcome): unknown {
  return {
    path,
    fingerprint,
    ...rest,
    certificate: certificate === undefined ? null : describeCertificate(certificate),
    failure:
      failure === undefined ? null : { code: failure.code, message: failure.message, advice: failure.advice ?? null },
    waitingAfter: waitingAfter ?? null,
    nextAt: formatUtc(nextAt),
  };
}

export function formatPass({ keys, clock, following }: HostPassOutcome): string {
  const followed = followedLines(following).map(({ message }) => `Followed the CA: ${message}.`);
  const remark = clock.kind === 'system' ? [] : [`Note: ${describeJudgement(clock)}.`];
  return [...followed, ...keys.flatMap(formatKey), ...remark].map((line) => `${line}\n`).join('');
}

const deeds = {
  renewed: 'has a new certificate',
  finished: 'has the certificate that an earlier run obtained',
} as const;

function formatKey({ path, certificate, did, changedNames, nextAt, failure, waitingAfter }: KeyOutcome): string[] {
  if (certificate === undefined) return [];
  const until = `until ${formatUtc(certificate.validBefore)}, serial ${certificate.serial}`;
  const names = changedNames.length === 0 ? [] : [`  names that changed: ${changedNames.join(', ')}`];
  if (failure !== undefined)
    return [`${path} keeps its certificate ${until}`, `  next attempt at ${formatUtc(nextAt)}`];
  if (waitingAfter !== undefined)
    return [
      `${path} keeps its certificate ${until}`,
      `  renewal failed before [${waitingAfter}]; next attempt at ${formatUtc(nextAt)}, or now with --force`,
    ];
  if (did === 'nothing') return [`${path} needs nothing: its certificate is good ${until}`];
  return [`${path} ${deeds[did]}`, `  ${until}`, ...names];
}
