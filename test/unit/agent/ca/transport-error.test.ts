import { expect, test } from 'vitest';
import { CaError } from '#agent/ca/ca-error.ts';
import { transportError } from '#agent/ca/transport-error.ts';

const url = 'https://ca.example.internal:8443';
const withCode = (code: string, options?: ErrorOptions) => Object.assign(new Error('it broke', options), { code });

test.each([
  ['ECONNREFUSED', 'ca-unreachable'],
  ['ENOTFOUND', 'ca-unreachable'],
  ['UND_ERR_CONNECT_TIMEOUT', 'ca-timeout'],
  ['UND_ERR_HEADERS_TIMEOUT', 'ca-timeout'],
  ['UND_ERR_RES_EXCEEDED_MAX_SIZE', 'ca-reply-invalid'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'ca-untrusted'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'ca-untrusted'],
  ['CERT_HAS_EXPIRED', 'ca-untrusted'],
  ['EWHATEVER', 'ca-unreachable'],
])('%s is %s', (code, ours) => {
  expect(transportError(withCode(code), url)).toMatchObject({ name: 'CaError', code: ours });
});

test('looks into what an error was caused by, and into the first of several', () => {
  const wrapped = new Error('fetch failed', { cause: withCode('CERT_HAS_EXPIRED') });
  expect(transportError(wrapped, url).code).toBe('ca-untrusted');
  const several = new AggregateError([withCode('ETIMEDOUT'), withCode('ECONNREFUSED')], 'all failed');
  expect(transportError(several, url).code).toBe('ca-timeout');
});

test('gives every error an advice, and passes its own kind unchanged', () => {
  expect(transportError(new Error('?'), url).advice).toBeTruthy();
  const own = new CaError('ca-refused', 'no');
  expect(transportError(own, url)).toBe(own);
});
