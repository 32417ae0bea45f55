import { expect, test } from 'vitest';
import { renewalDueAt, shareOf, spreadOver } from '#agent/schedule/due.ts';
import { sampleCertificate, sampleHostKey, sampleNow } from '../host-key-sample.ts';

const key = sampleHostKey('ed25519');
const DAY = 86_400n;
const LIFETIME = 30n * DAY;

test('is due between two thirds and three quarters of its lifetime, each certificate at a moment of its own', () => {
  const validity = { validAfter: sampleNow, validBefore: sampleNow + LIFETIME };
  const moments = Array.from({ length: 50 }, () => renewalDueAt(sampleCertificate(key, validity)) - sampleNow);
  for (const moment of moments) {
    expect(moment).toBeGreaterThanOrEqual((LIFETIME * 2n) / 3n);
    expect(moment).toBeLessThan((LIFETIME * 3n) / 4n);
  }
  expect(new Set(moments).size).toBeGreaterThan(40);
});

test('the moment of one certificate is always the same, and before its end', () => {
  const certificate = sampleCertificate(key, { validAfter: sampleNow, validBefore: sampleNow + 3n });
  expect(renewalDueAt(certificate)).toBe(renewalDueAt(certificate));
  expect(renewalDueAt(certificate)).toBeLessThan(sampleNow + 3n);
});

test('no lifetime is too long', () => {
  expect(renewalDueAt({ validAfter: 0n, validBefore: 2n ** 64n - 1n, blob: key.blob })).toBeLessThan(2n ** 64n);
});

test('a spread stays within its bounds', () => {
  expect(shareOf(key.blob)).toBeLessThan(65_536n);
  expect(spreadOver(100n, 0n, key.blob)).toBe(100n);
  expect(spreadOver(100n, 900n, key.blob)).toBeLessThan(1000n);
});
