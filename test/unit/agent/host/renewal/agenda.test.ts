import { expect, test } from 'vitest';
import { planWork } from '#agent/host/renewal/agenda.ts';
import { renewalDueAt } from '#agent/schedule/due.ts';
import { type KeyMemory, nothingYet } from '#agent/host/renewal/renewal-record.ts';
import { newest } from '#agent/host/renewal/sighting.ts';
import { sampleCertificate, sampleHostKey, sampleNow } from '../host-key-sample.ts';

const key = sampleHostKey('ed25519');
const DAY = 86_400n;
const current = sampleCertificate(key, { validAfter: sampleNow, validBefore: sampleNow + 30n * DAY });
const dueAt = renewalDueAt(current);
const reportedAt = (at: bigint): KeyMemory => ({ ...nothingYet, reported: { serial: '7', at: Number(at) } });

function plan(now: bigint, memory: KeyMemory, { force = false, isInstalled = true } = {}) {
  return planWork({ current, isInstalled, memory }, now, force);
}

test('a young certificate that was reported needs nothing until its next report', () => {
  const now = sampleNow + 100n;
  expect(plan(now, reportedAt(now))).toEqual({ renew: false, install: false, report: false, nextAt: now + 6n * 3600n });
});

test('a certificate that was never reported is reported at once, and so is another serial', () => {
  expect(plan(sampleNow, nothingYet)).toMatchObject({ renew: false, report: true });
  const other = { ...nothingYet, reported: { serial: '8', at: Number(sampleNow) } };
  expect(plan(sampleNow, other)).toMatchObject({ renew: false, report: true });
});

test('it is renewed from the moment when it is due, and not before', () => {
  expect(plan(dueAt - 1n, reportedAt(dueAt - 2n))).toMatchObject({ renew: false, nextAt: dueAt });
  expect(plan(dueAt, reportedAt(dueAt - 2n)).renew).toBe(true);
  expect(plan(sampleNow + 400n * DAY, reportedAt(sampleNow)).renew).toBe(true);
});

test('force renews a young one, and ends a pause', () => {
  const paused = { ...reportedAt(sampleNow), pausedUntil: Number(sampleNow) + 500 };
  expect(plan(sampleNow, paused, { force: true }).renew).toBe(true);
});

test('a pause keeps everything waiting until its end', () => {
  const until = dueAt + 500n;
  const paused = { ...nothingYet, pausedUntil: Number(until), failures: 3 };
  const quiet = { renew: false, install: false, report: false, nextAt: until };
  expect(plan(dueAt, paused, { isInstalled: false })).toEqual(quiet);
  expect(plan(until, paused, { isInstalled: false })).toMatchObject({ renew: true, install: true, report: true });
});

test('what was noted under a clock that was ahead does not count', () => {
  const inTheFuture = Number(sampleNow + 10_000n * DAY);
  const memory = { ...nothingYet, reported: { serial: '7', at: inTheFuture }, pausedUntil: inTheFuture };
  expect(plan(sampleNow, memory)).toMatchObject({ renew: false, report: true });
  expect(plan(dueAt, memory)).toMatchObject({ renew: true });
});

test('an unfinished install is ended at once', () => {
  expect(plan(sampleNow, reportedAt(sampleNow), { isInstalled: false })).toMatchObject({ renew: false, install: true });
});

test('when the CA wants it renewed, that happens within a quarter of an hour', () => {
  const memory = { ...reportedAt(sampleNow), renewNow: true };
  const { nextAt } = plan(sampleNow, memory);
  expect(nextAt).toBeLessThanOrEqual(sampleNow + 900n);
  expect(plan(sampleNow + 900n, memory).renew).toBe(true);
  const ofAnother = { ...memory, reported: { serial: '8', at: Number(sampleNow) } };
  expect(plan(sampleNow + 900n, ofAnother).renew).toBe(false);
});

test('the next moment is never now or in the past', () => {
  for (const now of [0n, sampleNow, dueAt, dueAt + 1n, sampleNow + 1000n * DAY]) {
    for (const isInstalled of [true, false]) expect(plan(now, nothingYet, { isInstalled }).nextAt).toBeGreaterThan(now);
  }
});

test('of the stored and the installed certificate the newer one counts, the stored one in doubt', () => {
  const older = sampleCertificate(key, { validAfter: sampleNow - 10n, validBefore: sampleNow + DAY });
  const twin = sampleCertificate(key, { validAfter: sampleNow, validBefore: sampleNow + DAY });
  expect(newest(current, older)).toBe(current);
  expect(newest(older, current)).toBe(current);
  expect(newest(current, twin)).toBe(current);
  expect(newest(undefined, older)).toBe(older);
  expect(newest(older, undefined)).toBe(older);
  expect(newest(undefined, undefined)).toBeUndefined();
});
