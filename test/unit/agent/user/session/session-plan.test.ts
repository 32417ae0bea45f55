/** When a session is renewed, in which way, what a failure means, and when the person is asked. */
import { describe, expect, test } from 'vitest';
import { CaError } from '#agent/ca/ca-error.ts';
import { LoginError } from '#agent/user/login/login-error.ts';
import { createBoundKey } from '#agent/user/login/key-binding.ts';
import type { Session } from '#agent/user/session/session.ts';
import { dueAt, judgeFailure, plannedAt, renewalWays, signInNeed } from '#agent/user/session/session-plan.ts';
import { HOUR, START, certificateFor, sampleProvisioner, sampleSession } from './session-sample.ts';

const renewable = {
  ...sampleProvisioner,
  client: { ...sampleProvisioner.client, renewal: { forSeconds: 1, times: 1 } },
};

function without(session: Session, member: 'refreshToken' | 'held' | 'provisioner'): Session {
  const { [member]: _gone, ...rest } = session;
  return rest;
}

describe('the moment', () => {
  test('is at two thirds of what was left when the certificate came, spread over a twelfth', () => {
    const due = plannedAt(sampleSession(), START) ?? 0;
    expect(due).toBeGreaterThanOrEqual(START + 6 * HOUR);
    expect(due).toBeLessThan(START + 6.75 * HOUR);
  });

  test('of a certificate of seconds, which the CA dated back by more than it lives, is not in the past', () => {
    const key = createBoundKey();
    const held = { certificate: certificateFor(key, START, START + 12_000), obtainedAt: START };
    expect(dueAt(held)).toBeGreaterThanOrEqual(START + 8000);
    const ended = { certificate: certificateFor(key, START - HOUR, START - 1000), obtainedAt: START };
    expect(dueAt(ended)).toBe(START);
  });

  test('is now after a restart, when there is no certificate yet', () => {
    expect(plannedAt(without(sampleSession(), 'held'), START + 5)).toBe(START + 5);
  });
});

describe('the way', () => {
  test('is the refresh token where there is one that can be used, then the key where the CA lets it', () => {
    expect(renewalWays(sampleSession(), START)).toEqual(['refresh-token']);
    expect(renewalWays(sampleSession({ provisioner: renewable }), START)).toEqual([
      'refresh-token',
      'proof-of-possession',
    ]);
    const bare = without(sampleSession({ provisioner: renewable }), 'refreshToken');
    expect(renewalWays(bare, START)).toEqual(['proof-of-possession']);
    expect(renewalWays(bare, START + 9 * HOUR)).toEqual([]); // it has ended
    expect(renewalWays(sampleSession({ refreshUnusable: true }), START)).toEqual([]);
  });
});

describe('a failure', () => {
  const refused = (code: string, status: number, retryAfterSeconds?: number) =>
    new CaError('ca-refused', 'no', {
      refusal: { status, code, requestId: 'r', ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) },
    });

  test.each([
    ['the provider has ended it', new LoginError('session-ended', 'x'), true],
    ['the provider refreshes without the nonce', new LoginError('refresh-unusable', 'x'), true],
    ['the CA does not accept the person any more', refused('identity-not-accepted', 403), true],
    ['the CA wants a sign-in', refused('sign-in-needed', 403), true],
    ['the provider is away', new LoginError('provider-unreachable', 'x'), false],
    ['a portal of the network answers', new LoginError('provider-untrusted', 'x'), false],
    ['the CA is away', new CaError('ca-unreachable', 'x'), false],
    ['the CA is busy', refused('overloaded', 429), false],
    ['the CA is broken', refused('internal', 500), false],
    ['a clock is wrong', refused('token-not-yet-valid', 401), false],
  ])('needs a person: %s: %s', (_what, failure, needsPerson) => {
    expect(judgeFailure(failure, 1, START, 0.5)).toMatchObject({ needsPerson, at: START, failures: 1 });
  });

  test('is tried again after a pause that grows to an hour, and not before the CA wants it', () => {
    const pause = (failures: number) =>
      (judgeFailure(new CaError('ca-timeout', 'x'), failures, START, 1).retryAt ?? 0) - START;
    expect([pause(1), pause(2), pause(50)]).toEqual([30_000, 60_000, HOUR]);
    expect(judgeFailure(refused('overloaded', 429, 600), 1, START, 0).retryAt).toBe(START + 600_000);
  });

  test('of the CA keeps the code of the CA', () => {
    expect(judgeFailure(refused('key-revoked', 403), 1, START, 0).code).toBe('key-revoked');
  });
});

describe('the person is asked', () => {
  const trouble = judgeFailure(new LoginError('session-ended', 'over'), 1, START + HOUR, 0);

  test('at once when nobody else can help', () => {
    expect(signInNeed(sampleSession({ trouble }), START + HOUR)).toMatchObject({
      reason: 'ending',
      since: START + HOUR,
      provisioner: 'corp',
      failure: { code: 'session-ended' },
    });
    expect(signInNeed(sampleSession({ trouble }), START + 10 * HOUR)).toMatchObject({ reason: 'ended' });
  });

  test('in time when there is nothing to renew with', () => {
    const bare = without(sampleSession(), 'refreshToken');
    expect(signInNeed(bare, START + 5 * HOUR)).toBeUndefined();
    expect(signInNeed(bare, START + 7 * HOUR)).toMatchObject({ reason: 'ending' });
    expect(signInNeed(bare, START + 100 * 24 * HOUR)).toMatchObject({ reason: 'ended', since: START + 9 * HOUR });
  });

  test('not while the agent can help itself, also when the certificate has ended', () => {
    const passing = judgeFailure(new LoginError('provider-unreachable', 'x'), 3, START + 9 * HOUR, 0);
    expect(signInNeed(sampleSession({ trouble: passing }), START + 20 * HOUR)).toBeUndefined();
    expect(signInNeed(sampleSession(), START + 20 * HOUR)).toBeUndefined();
  });
});
