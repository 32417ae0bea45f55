/** What `host status` and `doctor` tell of renewals: how they go on, and who ends a refusal. */
import { describe, expect, test } from 'vitest';
import { renewalFindings } from '#agent/host/doctor/certificate-checks.ts';
import { outlookOf } from '#agent/host/renewal/outlook.ts';
import { remedyFor } from '#agent/host/renewal/remedy.ts';
import { type KeyMemory, nothingYet } from '#agent/host/renewal/renewal-record.ts';
import { renewalDueAt } from '#agent/schedule/due.ts';
import { errorStatuses } from '#protocol/api-error.ts';
import { sampleCertificate, sampleHostKey, sampleNow } from '../host-key-sample.ts';

const key = sampleHostKey('ed25519');
const certificate = sampleCertificate(key);
const now = Number(sampleNow);
const failing: KeyMemory = {
  ...nothingYet,
  reported: { serial: '7', at: now - 7200 },
  renewedAt: now - 7300,
  failures: 2,
  pausedUntil: now + 600,
  refusal: 'renewal-expired',
  lastFailure: { at: now - 60, code: 'renewal-expired', message: 'it expired', advice: null, needsPerson: true },
};

test('a key whose renewals go well', () => {
  const memory: KeyMemory = { ...nothingYet, reported: { serial: '7', at: now - 60 }, renewedAt: now - 70 };
  expect(outlookOf(certificate, memory, sampleNow)).toEqual({
    renewalDueAt: renewalDueAt(certificate),
    renewedAt: sampleNow - 70n,
    reportedAt: sampleNow - 60n,
    lastFailure: undefined,
    isFailing: false,
    pausedUntil: undefined,
    needsPerson: false,
  });
});

test('a key that waits for a person', () => {
  const outlook = outlookOf(certificate, failing, sampleNow);
  expect(outlook).toMatchObject({ isFailing: true, needsPerson: true, pausedUntil: sampleNow + 600n });
  expect(outlookOf(certificate, failing, sampleNow + 600n).pausedUntil).toBeUndefined();
});

test('a failure that was made good is remembered, and nobody is waited for', () => {
  const outlook = outlookOf(certificate, { ...failing, refusal: null, pausedUntil: 0, failures: 0 }, sampleNow);
  expect(outlook).toMatchObject({ isFailing: false, needsPerson: false, lastFailure: failing.lastFailure });
});

describe('the doctor', () => {
  const installed = { path: key.path, fingerprint: key.fingerprint, certificate: 'c', addresses: [], port: 22 };
  const status = { key: { ...installed, names: ['web1.example.internal'] }, certificate };
  const find = (memory: KeyMemory) =>
    renewalFindings({ ...status, outlook: outlookOf(certificate, memory, sampleNow) });

  test('says nothing of renewals that go well', () => {
    expect(find(nothingYet)).toEqual([]);
  });

  test('names the command of the administrator, and the next attempt', () => {
    const [finding] = find(failing);
    expect(finding).toMatchObject({ check: 'renewal', level: 'fail' });
    expect(finding?.advice).toContain('countersign-ca grant --serial 7 --for 24h');
    expect(finding?.advice).toContain(`Next attempt: ${new Date((now + 600) * 1000).toISOString().slice(0, 19)}Z`);
  });

  test('warns of what may pass', () => {
    const lastFailure = { at: now, code: 'ca-unreachable', message: 'no route', advice: 'Look.', needsPerson: false };
    expect(find({ ...failing, refusal: 'ca-unreachable', lastFailure })).toMatchObject([{ level: 'warn' }]);
  });
});

describe('who ends a refusal', () => {
  const codes = ['lineage-quarantined', 'renewal-revoked', 'key-revoked', 'enrolment-cleared', 'certificate-unknown'];

  test.each([...codes, 'renewal-expired', 'renewal-no-principals'])('%s: a code of the CA, and what to do', (code) => {
    expect(Object.keys(errorStatuses)).toContain(code);
    expect(remedyFor({ code, serial: 7n, name: 'web1' })?.length).toBeGreaterThan(20);
  });

  test('is not known of others', () => {
    expect(remedyFor({ code: 'ca-unreachable', serial: 7n, name: 'web1' })).toBeUndefined();
    expect(remedyFor({ code: 'constructor', serial: 7n, name: 'web1' })).toBeUndefined();
  });
});
