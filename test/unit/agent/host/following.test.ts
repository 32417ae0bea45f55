/** When a host asks its CA, and what is told of following it. */
import { describe, expect, test } from 'vitest';
import { followedLines, needsLook } from '#agent/cli/following-text.ts';
import { CaError } from '#agent/ca/ca-error.ts';
import { askedFinding, krlFinding } from '#agent/host/doctor/following-checks.ts';
import { ASK_EVERY_SECONDS, afterAnswer, afterFailure, isTimeToAsk } from '#agent/host/following/schedule.ts';
import { claimsOf } from '#agent/host/following/standing.ts';
import { planWork } from '#agent/host/renewal/agenda.ts';
import { nothingYet } from '#agent/host/renewal/renewal-record.ts';
import { sampleCertificate, sampleHostKey, sampleNow } from './host-key-sample.ts';

describe('the CA is asked', () => {
  const now = sampleNow;

  test('at once by a host that never asked, and within the interval after each answer', () => {
    expect(isTimeToAsk(0, now)).toBe(true);
    for (const random of [0, 0.5, 0.999]) {
      const nextAt = afterAnswer(now, random);
      expect(isTimeToAsk(nextAt, now)).toBe(false);
      expect(isTimeToAsk(nextAt, now + BigInt(ASK_EVERY_SECONDS))).toBe(true);
    }
  });

  test('sooner after a failure, and never later than the interval', () => {
    expect(afterFailure(1, now, 0) - Number(now)).toBeLessThan(60);
    expect(afterFailure(50, now, 0.999) - Number(now)).toBeLessThanOrEqual(ASK_EVERY_SECONDS);
    expect(isTimeToAsk(afterFailure(1, now, 0), now)).toBe(false);
  });

  test('by a host whose clock was ahead when it noted the next time', () => {
    expect(isTimeToAsk(Number(now) + 10 * ASK_EVERY_SECONDS, now)).toBe(true);
  });
});

test('a host reports again as soon as it trusts or refuses something else', () => {
  const standing = { trustedHostCas: ['SHA256:a'], trustedUserCas: [], krlNumber: '1' };
  const claims = claimsOf(standing);
  const others = [
    { ...standing, krlNumber: '2' },
    { ...standing, trustedHostCas: [], trustedUserCas: ['SHA256:a'] },
    { ...standing, trustedHostCas: ['SHA256:a', 'SHA256:b'] },
  ];
  const current = sampleCertificate(sampleHostKey('ed25519'));
  const reported = { serial: String(current.serial), at: Number(sampleNow), claims };
  const plan = (now: string) =>
    planWork({ current, isInstalled: true, memory: { ...nothingYet, reported }, claims: now }, sampleNow, false);
  expect(plan(claims).report).toBe(false);
  for (const other of others) {
    expect(claimsOf(other)).not.toBe(claims);
    expect(plan(claimsOf(other)).report).toBe(true);
  }
});

test('what changed is told, and only what does not mend itself asks for a person', () => {
  const outcome = { did: ['krl', 'sshd'] as const, krlNumber: 7n, failure: undefined, nextAt: 0n };
  const authority = { url: '', rootFingerprint: '', rootCertificate: '', pinnedAt: '', hostCaKeys: [], userCaKeys: [] };
  const lines = followedLines({ ...outcome, authority });
  expect(lines.map(({ event }) => event)).toEqual(['followed-krl', 'followed-sshd']);
  expect(lines[0]?.message).toContain('7');
  expect(needsLook(new CaError('statement-older', ''))).toBe(true);
  expect(needsLook(new CaError('ca-keys-changed', ''))).toBe(true);
  expect(needsLook(new CaError('ca-unreachable', ''))).toBe(false);
});

describe('doctor', () => {
  test('fails for a list that locks everybody out, and warns of one that is not in use', () => {
    const levels = (['in-use', 'not-wanted', 'none', 'other-file', 'unreadable'] as const).map(
      (krlState) => krlFinding({ krlState, krl: null }).level,
    );
    expect(levels).toEqual(['ok', 'ok', 'warn', 'warn', 'fail']);
  });

  test('warns of a CA that was not asked for a day, or could not be followed', () => {
    const day = 86_400n;
    const levelOf = (askedAt: bigint | undefined, failure?: string) =>
      askedFinding({ askedAt, failure }, sampleNow).level;
    expect(levelOf(sampleNow - 60n)).toBe('ok');
    expect(levelOf(sampleNow - day - 1n)).toBe('warn');
    expect(levelOf(undefined)).toBe('warn');
    expect(levelOf(sampleNow, 'statement-older')).toBe('warn');
  });
});
