import { describe, expect, test } from 'vitest';
import { CaError } from '#agent/ca/ca-error.ts';
import { HostError } from '#agent/host/host-error.ts';
import { isTransportCode } from '#agent/ca/transport-error.ts';
import { MAX_PAUSE_SECONDS, judgeSetback } from '#agent/host/renewal/setback.ts';
import { backOffSeconds } from '#agent/schedule/back-off.ts';
import { errorStatuses, isApiErrorCode } from '#protocol/api-error.ts';

const ALMOST_ONE = 1 - Number.EPSILON;

function refused(code: string, retryAfterSeconds?: number): CaError {
  const status = isApiErrorCode(code) ? errorStatuses[code] : 500;
  const facts = { status, code, requestId: 'r' };
  const refusal = retryAfterSeconds === undefined ? facts : { ...facts, retryAfterSeconds };
  return new CaError('ca-refused', 'the CA refused', { refusal });
}

test('the back-off doubles from half a minute to an hour, and stays there', () => {
  const steps = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1000].map((failures) => backOffSeconds(failures, ALMOST_ONE));
  expect(steps).toEqual([30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
  expect(backOffSeconds(1, 0)).toBe(15);
  expect(backOffSeconds(1000, 0)).toBe(1800);
});

describe('a refusal that only a person can lift', () => {
  test.each([
    ['renewal-expired', 15 * 60],
    ['lineage-quarantined', 6 * 3600],
    ['certificate-unknown', 6 * 3600],
    ['renewal-no-principals', 6 * 3600],
    ['renewal-revoked', 24 * 3600],
    ['key-revoked', 24 * 3600],
    ['enrolment-cleared', 24 * 3600],
  ])('%s is looked at again after half to all of %d seconds, however often it came', (code, seconds) => {
    for (const failures of [1, 50]) {
      expect(judgeSetback(refused(code), failures, ALMOST_ONE)).toEqual({ pauseSeconds: seconds, needsPerson: true });
      expect(judgeSetback(refused(code), failures, 0).pauseSeconds).toBe(seconds / 2);
    }
  });
});

test('Retry-After of the CA is kept, and never undercut', () => {
  expect(judgeSetback(refused('overloaded', 300), 1, 0)).toEqual({ pauseSeconds: 300, needsPerson: false });
  expect(judgeSetback(refused('overloaded', 300), 9, ALMOST_ONE).pauseSeconds).toBeLessThanOrEqual(310);
  expect(judgeSetback(refused('stopping', 999_999_999), 1, 0).pauseSeconds).toBe(MAX_PAUSE_SECONDS);
});

test.each([
  ['an overloaded CA that names no time', refused('overloaded')],
  ['a CA with a code of tomorrow', refused('of-tomorrow')],
  ['a CA that is not reached', new CaError('ca-unreachable', 'no route')],
  ['an sshd that does not answer', new HostError('sshd-not-answering', 'no answer')],
])('%s is asked again with a growing pause', (_, failure) => {
  expect(judgeSetback(failure, 1, ALMOST_ONE)).toEqual({ pauseSeconds: 30, needsPerson: false });
  expect(judgeSetback(failure, 4, ALMOST_ONE)).toEqual({ pauseSeconds: 240, needsPerson: false });
});

test('another network may help where the CA was not reached, and nowhere else', () => {
  expect(['ca-unreachable', 'ca-timeout', 'ca-untrusted'].every(isTransportCode)).toBe(true);
  expect(['renewal-expired', 'lineage-quarantined', 'overloaded', null].some(isTransportCode)).toBe(false);
});
