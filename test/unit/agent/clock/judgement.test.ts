/** Which time is believed: the system's, the one that the CA told, or none as long as the CA was not asked. */
import { describe, expect, test } from 'vitest';
import { describeSeconds } from '#agent/clock/describe.ts';
import { type Anchor, type Bounds, RELEASED_MS, isCredible, judgeTime } from '#agent/clock/judgement.ts';

const NOW = Date.UTC(2027, 5, 1);
const [MINUTE, YEAR] = [60_000, 365 * 86_400_000];
const bounds: Bounds = { earliestMs: NOW - YEAR / 4, latestMs: NOW + 9 * YEAR };
const anchor: Anchor = { trueMs: NOW, wallMs: NOW, bootMs: 5000 };

describe('without a word of the CA in this boot', () => {
  const judge = (wallMs: number) => judgeTime({ wallMs, bootMs: 1 }, undefined, bounds);

  test.each([NOW, bounds.earliestMs, bounds.latestMs, bounds.earliestMs - 30_000])(
    'the system is believed: %d',
    (wall) => {
      expect(judge(wall)).toEqual({ nowMs: wall, kind: 'system', aheadSeconds: 0 });
    },
  );

  test.each([
    [0, 'before-release'],
    [-YEAR, 'before-release'],
    [RELEASED_MS - 1, 'before-release'],
    [bounds.earliestMs - 30_001, 'before-last-seen'],
    [bounds.latestMs + 1, 'after-root'],
    [Date.UTC(2040, 0, 1), 'after-root'],
  ] as const)('the system is doubted at %d: %s', (wall, doubt) => {
    expect(judge(wall)).toEqual({ nowMs: wall, kind: 'doubtful', aheadSeconds: 0, doubt });
  });
});

describe('after a word of the CA', () => {
  const at = (wallMs: number, bootMs: number, from = anchor) => judgeTime({ wallMs, bootMs }, from, bounds);

  test('the system is believed as long as it goes with the boot', () => {
    expect(at(NOW + YEAR, 5000 + YEAR)).toEqual({ nowMs: NOW + YEAR, kind: 'system', aheadSeconds: 0 });
    expect(at(NOW + MINUTE + 30_000, 5000 + MINUTE).kind).toBe('system');
  });

  test('the time told goes on with the boot, whatever the system says', () => {
    const in1970 = { ...anchor, wallMs: 10_000 };
    expect(at(10_000 + MINUTE, 5000 + MINUTE, in1970)).toEqual({
      nowMs: NOW + MINUTE,
      kind: 'told',
      aheadSeconds: (NOW - 10_000) / 1000,
    });
    const in2040 = { ...anchor, wallMs: Date.UTC(2040, 0, 1) };
    expect(at(Date.UTC(2040, 0, 1), 5000, in2040)).toMatchObject({ nowMs: NOW, kind: 'told' });
  });

  test('a system that was set right is believed again', () => {
    expect(at(NOW + MINUTE, 5000 + MINUTE, { ...anchor, wallMs: 10_000 }).kind).toBe('system');
  });

  test.each([31_000, -31_000, 10 * MINUTE, -10 * MINUTE, -56 * YEAR])(
    'a system that was set wrong by %d ms is doubted, and the boot goes on',
    (jump) => {
      const judgement = at(NOW + MINUTE + jump, 5000 + MINUTE);
      expect(judgement).toMatchObject({ nowMs: NOW + MINUTE, kind: 'doubtful', doubt: 'jumped' });
      expect(judgement.aheadSeconds).toBe(-jump / 1000);
    },
  );

  test('a suspend is no jump: the clock of the boot has it', () => {
    expect(at(NOW + 8 * 3_600_000, 5000 + 8 * 3_600_000).kind).toBe('system');
  });
});

test.each([
  [0, '0 s'],
  [599, '599 s'],
  [600, '10 min'],
  [7200, '2 h'],
  [172_800, '2 days'],
  [63_072_000, '2 years'],
  [1_795_368_992, '57 years'],
])('%d seconds are told as %s', (seconds, text) => {
  expect(describeSeconds(seconds)).toBe(text);
});

describe('a time that the CA tells', () => {
  test('is not before what is certain', () => {
    expect(isCredible(bounds.earliestMs, 0, bounds)).toBe(true);
    expect(isCredible(bounds.earliestMs - 30_001, 0, bounds)).toBe(false);
    expect(isCredible(0, 0, bounds)).toBe(false);
  });

  test('is, when the system says the same: the CA had it wrong before', () => {
    const early = RELEASED_MS + MINUTE;
    expect(isCredible(early, early, { ...bounds, earliestMs: RELEASED_MS + YEAR })).toBe(true);
    expect(isCredible(early, early + YEAR, { ...bounds, earliestMs: RELEASED_MS + YEAR })).toBe(false);
    expect(isCredible(1000, 1000, bounds)).toBe(false);
  });
});
