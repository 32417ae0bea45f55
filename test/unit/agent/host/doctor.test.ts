import { describe, expect, test } from 'vitest';
import { clockFinding } from '#agent/host/doctor/ca-checks.ts';
import { certificateFinding } from '#agent/host/doctor/certificate-checks.ts';
import { nameFinding } from '#agent/host/doctor/name-checks.ts';
import { formatText } from '#agent/cli/doctor-run.ts';
import { sampleCertificate, sampleHostKey, sampleNow } from './host-key-sample.ts';

test.each([
  [0, 'ok'],
  [1_400, 'ok'],
  [30_000, 'ok'],
  [-31_000, 'warn'],
  [61_000, 'fail'],
  [-3_600_000, 'fail'],
])('a clock that is %d ms off is %s', (difference, level) => {
  expect(clockFinding(1_800_000_000_000 + difference, 1_800_000_000_000).level).toBe(level);
});

describe('names', () => {
  const [enrolled, local] = [new Set(['10.0.0.5', 'fd00::5']), new Set(['10.0.0.5', 'fd00::5', '10.0.0.6'])];

  test.each([
    [['10.0.0.5', 'fd00::5'], 'ok'],
    [['fd00::5', '10.0.0.5'], 'ok'],
    [['10.0.0.5'], 'warn'],
    [['10.0.0.6'], 'warn'],
    [['192.0.2.1'], 'warn'],
    [[], 'warn'],
  ])('%j is %s', (resolved, level) => {
    const finding = nameFinding({ name: 'web1.example.internal', resolved }, enrolled, local);
    expect(finding.level).toBe(level);
    expect(finding.advice === undefined).toBe(level === 'ok');
  });
});

describe('certificates', () => {
  const key = sampleHostKey('ed25519');
  const installed = {
    path: key.path,
    fingerprint: key.fingerprint,
    certificate: 'c',
    names: [],
    addresses: [],
    port: 22,
  };
  const status = { key: installed, certificate: sampleCertificate(key), served: 'served' as const, fault: undefined };

  test('are fine, late, or faulty', () => {
    expect(certificateFinding(status, sampleNow).level).toBe('ok');
    expect(certificateFinding(status, sampleNow + 60_000n).level).toBe('warn');
    expect(certificateFinding({ ...status, fault: 'not-served' }, sampleNow).level).toBe('fail');
    expect(certificateFinding({ ...status, certificate: undefined }, sampleNow).level).toBe('fail');
  });
});

test('each finding is a line that begins with its level, and what to do is below it', () => {
  const text = formatText(
    [
      { check: 'a', level: 'ok', message: 'good' },
      { check: 'b', level: 'fail', message: 'bad', advice: 'mend it\nsoon' },
    ],
    false,
  );
  expect(text).toBe('ok    good\nfail  bad\n       mend it\n       soon\n');
});
