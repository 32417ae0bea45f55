import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from '#ca-lite/config/duration.ts';

describe('durations', () => {
  it.each([
    ['90s', 90],
    ['15m', 900],
    ['16h', 57_600],
    ['30d', 2_592_000],
    ['1h30m', 5400],
  ])('reads %s', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each(['', '5', '0s', '-1h', '1.5h', '1w', '5 m', '1h ', '9999999999s', '99999d'])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it('writes what it reads back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3_000_000_000 }), (seconds) => {
        expect(parseDuration(formatDuration(seconds))).toBe(seconds);
      }),
    );
  });
});
