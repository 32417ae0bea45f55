import { expect, test } from 'vitest';
import { isReusable } from '#agent/host/reuse.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { sampleCaKey, sampleCertificate, sampleHostKey, sampleNow } from './host-key-sample.ts';

const key = sampleHostKey('ed25519');
const wanted = {
  keyBlob: key.blob,
  names: ['web1.example.internal'],
  trustedCas: new Set([fingerprintOf(encodePublicKey(sampleCaKey))]),
  now: sampleNow,
};

test('a certificate of before serves again when it is what would be asked for', () => {
  expect(isReusable(sampleCertificate(key), wanted)).toBe(true);
  const more = sampleCertificate(key, { principals: ['web1.example.internal', 'web1'] });
  expect(isReusable(more, wanted)).toBe(true);
});

test.each([
  ['another key', { keyBlob: sampleHostKey('ed25519').blob }],
  ['a name that it does not have', { names: ['web1.example.internal', 'www.example.internal'] }],
  ['another CA', { trustedCas: new Set([key.fingerprint]) }],
  ['the last hour', { now: sampleNow + 86_400n - 3600n }],
  ['the time after its end', { now: sampleNow + 90_000n }],
  ['the time before it', { now: sampleNow - 61n }],
])('it does not for %s', (_, difference) => {
  expect(isReusable(sampleCertificate(key), { ...wanted, ...difference })).toBe(false);
});
