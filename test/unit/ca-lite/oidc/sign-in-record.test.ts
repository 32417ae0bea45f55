/** What is kept of a sign-in, and what it is worth by the rules of a later day. */
import { expect, test } from 'vitest';
import { readOidcSection } from '#ca-lite/oidc/oidc-config.ts';
import type { OidcSection } from '#ca-lite/oidc/oidc-config.ts';
import { OidcProvisioners } from '#ca-lite/oidc/provisioners.ts';
import { signInOf } from '#ca-lite/oidc/sign-in-record.ts';

const faults: string[] = [];
const policyOf = (changes: Partial<OidcSection> = {}) =>
  readOidcSection(
    {
      name: 'corp',
      issuer: 'https://idp.example.com',
      client_id: 'countersign',
      principals: [{ from: 'email-local-part' }, { from: 'group', group: 'dba', principals: ['postgres'] }],
      ...changes,
    },
    (key) => faults.push(key),
  );
const claims = {
  iss: 'https://idp.example.com',
  sub: 'a1',
  email: 'Alice@example.com',
  email_verified: true,
  groups: ['ssh', 'dba'],
  at_hash: 'secret',
  auth_time: 1000,
  repository: 'one/two',
};

/** The sign-in as kept under one policy, held against another one. */
function later(changes: Partial<OidcSection>, { now = 2000n, byLeave = false, then = {} } = {}) {
  const kept = signInOf(claims, policyOf(then));
  const provisioners = new OidcProvisioners([policyOf(changes)]);
  const earlier = { provisioner: 'corp', claims: kept.claims ?? '', keyId: 'the key ID', byLeave };
  return provisioners.reconsider(earlier, now);
}

test('keeps who it was and the claims that rules look at, and nothing else', () => {
  const { identity, claims: kept } = signInOf(claims, policyOf({ require_claims: { repository: 'one/two' } }));
  expect(identity).toBe('Alice@example.com via corp');
  expect(JSON.parse(kept ?? '')).toEqual({
    sub: 'a1',
    email: 'Alice@example.com',
    email_verified: true,
    groups: ['ssh', 'dba'],
    auth_time: 1000,
    repository: 'one/two',
  });
  expect(Object.keys(JSON.parse(signInOf(claims, policyOf()).claims ?? '') as object)).not.toContain('repository');
});

test('names people without an address, and none of what a log must not hold', () => {
  expect(signInOf({ sub: 'x y\n' }, policyOf()).identity).toBe('sub_x_y_ via corp');
});

test('keeps nothing where there is too much, which then meets no rule', () => {
  const groups = Array.from({ length: 1000 }, (_, n) => `a-group-with-a-long-name-${n}`);
  expect(signInOf({ ...claims, groups }, policyOf()).claims).toBe('{}');
});

test('gives by the rules of today: names, options, lifetime', () => {
  const grant = later({ extensions: ['permit-pty'], force_command: '/bin/true', lifetime: '1h' });
  expect(grant).toMatchObject({
    type: 'user',
    keyId: 'the key ID',
    principals: ['alice', 'postgres'],
    validBefore: '3600s',
    extensions: [{ name: 'permit-pty' }],
    criticalOptions: [{ name: 'force-command' }],
  });
  expect(later({ principals: [{ from: 'email-local-part' }] })).toMatchObject({ principals: ['alice'] });
});

test.each([
  ['a group that the person does not have', { groups: ['admins'] }, 'sign-in-needed'],
  ['another domain', { domains: ['example.org'] }, 'sign-in-needed'],
  ['a claim that was not kept', { require_claims: { repository: 'one/two' } }, 'sign-in-needed'],
  ['a method that was not used', { amr: ['hwk'] }, 'sign-in-needed'],
  ['rules that give nothing', { principals: [] }, 'identity-not-accepted'],
  ['names that are not allowed any more', { allowed_principals: ['alice'] }, 'principal-not-allowed'],
  ['another name of the section', { name: 'other' }, 'sign-in-needed'],
] as const)('refuses by %s', (_, changes, code) => {
  expect(later(changes as Partial<OidcSection>)).toMatchObject({ refused: code });
});

test('counts max_auth_age from the sign-in, unless an administrator gave leave', () => {
  expect(later({ max_auth_age: '20m' })).toMatchObject({ principals: ['alice', 'postgres'] });
  expect(later({ max_auth_age: '20m' }, { now: 3000n })).toMatchObject({ refused: 'sign-in-needed' });
  expect(later({ max_auth_age: '20m' }, { now: 3000n, byLeave: true })).toMatchObject({ type: 'user' });
});

test('renewal is off unless a time is given, and the time is bounded', () => {
  expect(policyOf().renewal).toBeUndefined();
  expect(policyOf({ renew_times: 5 }).renewal).toBeUndefined();
  expect(policyOf({ renew_for: '5d' }).renewal).toEqual({ forSeconds: 432_000, times: 100 });
  expect(policyOf({ renew_for: '5d', renew_times: 5 }).renewal).toEqual({ forSeconds: 432_000, times: 5 });
  expect(faults).toEqual([]);
  policyOf({ renew_for: '0s' });
  policyOf({ renew_for: '400d' });
  policyOf({ renew_for: 'long' });
  expect(new Set(faults)).toEqual(new Set(['renew_for']));
  expect(faults.length).toBeGreaterThanOrEqual(3);
  const [listed] = new OidcProvisioners([policyOf({ renew_for: '1h' })]).describe();
  expect(listed).toMatchObject({ countersign: { renewal: { forSeconds: 3600, times: 100 } } });
});
