import { describe, expect, test } from 'vitest';
import { MAX_ATTEMPTS, MAX_TOTAL_WAIT_SECONDS, parseRetryAfter, retryDelaySeconds } from '#agent/ca/retry.ts';

const nowMs = Date.UTC(2026, 10, 22, 12, 0, 0);
const first = { status: 429, retryAfter: undefined, attempt: 1, waitedSeconds: 0, nowMs };

describe('retryDelaySeconds', () => {
  test.each([
    [first, 1],
    [{ ...first, attempt: 2 }, 2],
    [{ ...first, attempt: 3 }, 4],
    [{ ...first, status: 503 }, 1],
    [{ ...first, retryAfter: '7' }, 7],
    [{ ...first, retryAfter: '0' }, 0],
    [{ ...first, retryAfter: 'soon' }, 1],
    [{ ...first, retryAfter: String(MAX_TOTAL_WAIT_SECONDS) }, MAX_TOTAL_WAIT_SECONDS],
  ])('%j waits %d s', (answer, seconds) => {
    expect(retryDelaySeconds(answer)).toBe(seconds);
  });

  test.each([
    ['another status', { ...first, status: 500 }],
    ['success', { ...first, status: 200 }],
    ['the last attempt', { ...first, attempt: MAX_ATTEMPTS }],
    ['a wait beyond the bound', { ...first, retryAfter: String(MAX_TOTAL_WAIT_SECONDS + 1) }],
    ['a wait that exceeds the bound with what was waited', { ...first, retryAfter: '31', waitedSeconds: 30 }],
    ['a huge number', { ...first, retryAfter: '999999999' }],
  ])('gives up on %s', (_, answer) => {
    expect(retryDelaySeconds(answer)).toBeUndefined();
  });
});

describe('parseRetryAfter', () => {
  test.each([
    ['Sun, 22 Nov 2026 12:00:05 GMT', 5],
    ['Sun, 22 Nov 2026 11:59:00 GMT', 0],
    ['5', 5],
  ])('%s is %d', (header, seconds) => {
    expect(parseRetryAfter(header, nowMs)).toBe(seconds);
  });

  test.each(['', '-1', '1.5', '1e3', 'tomorrow', '2026-11-22T12:00:05Z', '9999999999'])('passes %j by', (header) => {
    expect(parseRetryAfter(header, nowMs)).toBeUndefined();
  });
});
