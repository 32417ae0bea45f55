/** How old a certificate may be. */
import { expect, test } from 'vitest';
import { judgeAge, refusalOfExpired } from '#ca-lite/lineage/expiry.ts';

const policy = {
  allowAfterExpiry: false,
  maxAgeSeconds: undefined,
  requireDialBack: false,
  cloneGraceSeconds: 300,
  requireRekeyProof: false,
  healByDialBack: false,
  users: undefined,
};
const open = { ...policy, allowAfterExpiry: true };

test.each([
  [policy, 999n, 'fresh'],
  [policy, 1000n, 'grant'],
  [open, 1000n, 'fresh'],
  [open, 10n ** 9n, 'fresh'],
  [{ ...open, maxAgeSeconds: 100 }, 1100n, 'fresh'],
  [{ ...open, maxAgeSeconds: 100 }, 1101n, 'grant'],
  [{ ...open, requireDialBack: true }, 999n, 'fresh'],
  [{ ...open, requireDialBack: true }, 1000n, 'dial-back'],
  [{ ...policy, requireDialBack: true }, 1000n, 'grant'],
] as const)('%o at %d asks for %s', (rules, now, verdict) => {
  expect(judgeAge(1000n, now, rules)).toBe(verdict);
});

test('the refusal names the command that an administrator would run', () => {
  const refusal = refusalOfExpired(1000n, 1000n + 90_000n, 'web1', '00ff');
  expect(refusal.refused).toBe('renewal-expired');
  expect(refusal.message).toContain('1d1h');
  expect(refusal.message).toContain('countersign-ca grant --lineage 00ff --for 24h');
});
