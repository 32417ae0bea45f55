import { describe, expect, it } from 'vitest';
import { findUnmetRule } from '#ca-lite/oidc/claim-check.ts';
import type { ClaimRequirements } from '#ca-lite/oidc/oidc-policy.ts';

const nothing: ClaimRequirements = {
  emailVerified: false,
  domains: [],
  groups: [],
  acr: [],
  amr: [],
  maxAuthAgeSeconds: undefined,
  claims: new Map(),
};
const now = 1_800_000_000n;
const good = {
  email: 'alice@Example.com',
  email_verified: true,
  groups: ['dev', 'ssh'],
  acr: 'phr',
  amr: ['pwd', 'hwk'],
  auth_time: Number(now) - 100,
  repository: 'example/site',
};
const all: ClaimRequirements = {
  emailVerified: true,
  domains: ['example.com'],
  groups: ['ssh'],
  acr: ['phr', 'phrh'],
  amr: ['hwk'],
  maxAuthAgeSeconds: 3600,
  claims: new Map([['repository', 'example/site']]),
};

describe('the claims of an ID token', () => {
  it('meet no rules, and all rules', () => {
    expect(findUnmetRule({}, nothing, now)).toBeUndefined();
    expect(findUnmetRule(good, all, now)).toBeUndefined();
  });

  it.each(Object.keys(good))('fail closed without %s', (claim) => {
    const { [claim as keyof typeof good]: _, ...rest } = good;
    expect(findUnmetRule(rest, all, now)).toBeTypeOf('string');
  });

  it.each([
    ['email', 'alice@evil.com'],
    ['email', 'alice@example.com.evil.com'],
    ['email', 'alice@evil.com@example.com'],
    ['email_verified', false],
    ['email_verified', 'true'],
    ['email_verified', 1],
    ['groups', 'ssh'],
    ['groups', ['SSH', 'sshd']],
    ['acr', 'ph'],
    ['acr', ['phr']],
    ['amr', 'hwk'],
    ['amr', ['pwd']],
    ['auth_time', Number(now) - 3601],
    ['auth_time', String(now)],
    ['auth_time', Number.NaN],
    ['repository', 'example/other'],
    ['repository', ['example/site']],
  ])('are refused with %s = %j', (claim, value) => {
    expect(findUnmetRule({ ...good, [claim]: value }, all, now)).toBeTypeOf('string');
  });

  it('are not repeated in the message', () => {
    const secret = 'very-private';
    for (const claim of Object.keys(good)) {
      expect(findUnmetRule({ ...good, [claim]: secret }, all, now) ?? '').not.toContain(secret);
    }
  });
});
