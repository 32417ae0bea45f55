import { expect, test } from 'vitest';
import { judgeSignIn } from '#ca-lite/lineage/user-leave.ts';
import { type RefusedUser, refusalOfUser } from '#ca-lite/lineage/user-refusal.ts';

const policy = { forSeconds: 1000, times: 3 };

test.each([
  ['in time', 500n, 100n, 200n, policy, null],
  ['at its end', 500n, 100n, 500n, policy, 'expired'],
  ['long after', 500n, 100n, 10n ** 9n, policy, 'expired'],
  ['expired, and no policy', 500n, 100n, 600n, undefined, 'expired'],
  ['no policy', 500n, 100n, 200n, undefined, 'off'],
  ['the last moment of the sign-in', 5000n, 100n, 1099n, policy, null],
  ['the sign-in over', 5000n, 100n, 1100n, policy, 'too-old'],
] as const)('%s', (_, validBefore, signedInAt, now, rules, because) => {
  const leave = judgeSignIn(validBefore, signedInAt, now, rules);
  expect(leave).toMatchObject({ because, needsGrant: because !== null });
  expect(leave.until).toBe(rules === undefined ? undefined : 1100n);
  expect(leave.times).toBe(rules === undefined ? 0 : 3);
});

const refusedUser = (identity: string, because: 'off' | 'expired' | 'too-old' | null): RefusedUser => ({
  presented: { certificate: { serial: 77n } as RefusedUser['presented']['certificate'] },
  plan: { refused: 'renewal-no-principals', message: 'no names' },
  leave: { needsGrant: because !== null, because, until: undefined, times: 0 },
  signIn: { identity },
});

test.each([
  ['alice', `countersign-ca grant --user alice --for 24h`],
  ['alice@example.com', `countersign-ca grant --user alice@example.com --for 24h`],
  ['alice@example.com via corp', `countersign-ca grant --user 'alice@example.com via corp' --for 24h`],
  ["o'neill@example.com via corp", `countersign-ca grant --serial 77 --for 24h`],
  ['zo\u00eb', `countersign-ca grant --serial 77 --for 24h`],
  ['--all', `countersign-ca grant --serial 77 --for 24h`],
] as const)('the refusal of %s names a command that a shell takes', (identity, command) => {
  expect(refusalOfUser('renewal-expired', refusedUser(identity, 'expired')).message).toContain(command);
});

test('an expired certificate is told apart from a sign-in that policy does not renew', () => {
  const codeOf = (because: 'off' | 'expired' | 'too-old' | null) =>
    refusalOfUser('renewal-expired', refusedUser('alice', because)).refused;
  expect(codeOf('expired')).toBe('renewal-expired');
  for (const because of ['off', 'too-old', null] as const) expect(codeOf(because)).toBe('sign-in-needed');
});

test('what policy said is passed on', () => {
  expect(refusalOfUser('policy', refusedUser('alice', null))).toMatchObject({ refused: 'renewal-no-principals' });
});
