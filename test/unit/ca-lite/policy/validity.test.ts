import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideValidity } from '#ca-lite/policy/validity.ts';

const policy = { defaultSeconds: 3600, maxSeconds: 7200, backdateSeconds: 60 };
const now = 1_800_000_000n;
const decide = (validAfter: string, validBefore: string) => decideValidity({ validAfter, validBefore }, policy, now);
const iso = (seconds: bigint): string => new Date(Number(seconds) * 1000).toISOString();

describe('the validity of a certificate', () => {
  it('is the default, back-dated, when nothing is asked for', () => {
    expect(decide('', '')).toEqual({ validAfter: now - 60n, validBefore: now + 3600n });
  });

  it('takes Go durations and RFC 3339', () => {
    expect(decide('', '1h30m0s')).toEqual({ validAfter: now - 60n, validBefore: now + 5400n });
    expect(decide(iso(now + 10n), iso(now + 100n))).toEqual({ validAfter: now + 10n, validBefore: now + 100n });
  });

  it('lifts a start in the past to what back-dating allows', () => {
    expect(decide(iso(now - 86_400n), '1h')).toEqual({ validAfter: now - 60n, validBefore: now + 3600n });
  });

  it.each([
    ['', '3h'],
    ['', iso(now + 7201n)],
    ['', iso(now - 1n)],
    ['10m', ''],
    ['2m', '1m'],
    ['', 'tomorrow'],
    ['', '1d'],
    ['', '2027-01-15T08:00:00'],
    ['', '9999-99-99T00:00:00Z'],
  ])('refuses %j to %j', (after, before) => {
    expect(typeof decide(after, before)).toBe('string');
  });

  it('never exceeds the policy, whatever is asked for', () => {
    const wish = fc.oneof(
      fc.string(),
      fc.integer({ min: -1_000_000, max: 1_000_000 }).map((seconds) => `${seconds}s`),
      fc.integer({ min: -100_000, max: 100_000 }).map((offset) => iso(now + BigInt(offset))),
    );
    fc.assert(
      fc.property(wish, wish, (after, before) => {
        const validity = decide(after, before);
        if (typeof validity === 'string') return;
        expect(validity.validAfter).toBeGreaterThanOrEqual(now - 60n);
        expect(validity.validBefore).toBeGreaterThan(validity.validAfter);
        expect(validity.validBefore).toBeLessThanOrEqual(now + 7200n);
      }),
    );
  });
});
