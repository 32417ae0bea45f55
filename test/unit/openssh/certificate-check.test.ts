import { describe, expect, test } from 'vitest';
import { type CertificateExpectations, findCertificateFault, findValidityFault } from '#openssh/certificate-check.ts';
import { type CertificateFields, INFINITE_VALIDITY, decodeCertificate, textOption } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { sampleCa, sampleCertificate, sampleKeys } from './samples.ts';

const ca = fingerprintOf(encodePublicKey(sampleCa.publicKey));

function faultOf(changes: Partial<CertificateFields>, expected: Partial<CertificateExpectations> = {}): unknown {
  return findCertificateFault(sampleCertificate({ criticalOptions: [], ...changes }), {
    type: 'user',
    now: 1500n,
    trustedCas: new Set([ca]),
    ...expected,
  });
}

test('a certificate in order has no fault', () => {
  expect(faultOf({})).toBeUndefined();
  expect(faultOf({}, { principal: 'admins' })).toBeUndefined();
});

describe('validity: the start counts, the end does not', () => {
  test.each([
    [999n, 'not-yet-valid'],
    [1000n, undefined],
    [1999n, undefined],
    [2000n, 'expired'],
  ])('at %i: %s', (now, fault) => {
    expect(faultOf({}, { now })).toBe(fault);
  });

  test('for ever is not valid here', () => {
    expect(findValidityFault({ ...sampleCertificate(), validBefore: INFINITE_VALIDITY }, 1500n)).toBe('expired');
  });
});

test.each<[string, Partial<CertificateFields>, Partial<CertificateExpectations>]>([
  ['wrong-type', { type: 'host' }, {}],
  ['wrong-type', {}, { type: 'host' }],
  ['untrusted-ca', {}, { trustedCas: new Set() }],
  ['principal-not-listed', {}, { principal: 'root' }],
  ['principal-not-listed', {}, { principal: 'alic' }],
  ['principal-not-listed', {}, { principal: 'Alice' }],
  ['unknown-critical-option', { criticalOptions: [textOption('source-address', '::1')] }, {}],
  [
    'unknown-critical-option',
    { criticalOptions: [textOption('source-address', '::1'), textOption('new', '')] },
    { enforcedOptions: new Set(['source-address']) },
  ],
  ['revoked', {}, { isRevoked: () => true }],
])('%s', (fault, changes, expected) => {
  expect(faultOf(changes, expected)).toBe(fault);
});

test('a critical option that the caller enforces is no fault', () => {
  const criticalOptions = [textOption('source-address', '::1')];
  expect(faultOf({ criticalOptions }, { enforcedOptions: new Set(['source-address']) })).toBeUndefined();
});

test('no principals is a fault, even if none is asked for', () => {
  const certificate = { ...sampleCertificate({ criticalOptions: [] }), principals: [] };
  const expected = { type: 'user', now: 1500n, trustedCas: new Set([ca]) } as const;
  expect(findCertificateFault(certificate, expected)).toBe('no-principals');
});

test('a signature that does not fit is a fault, whoever the CA claims to be', () => {
  const { blob } = sampleCertificate();
  const forged = blob.slice();
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
  const expected = { type: 'user', now: 1500n, trustedCas: new Set([ca]) } as const;
  expect(findCertificateFault(decodeCertificate(forged), expected)).toBe('bad-signature');
});

test('revocation is asked about the certificate, its key and its CA, and only when all else is in order', () => {
  const asked: unknown[] = [];
  const isRevoked: CertificateExpectations['isRevoked'] = (certificate, key, signer) => {
    asked.push([certificate.serial, key, signer]);
    return false;
  };
  expect(faultOf({}, { isRevoked, now: 5000n })).toBe('expired');
  expect(asked).toEqual([]);
  expect(faultOf({}, { isRevoked })).toBeUndefined();
  expect(asked).toEqual([[42n, fingerprintOf(encodePublicKey(sampleKeys['ssh-ed25519'].publicKey)), ca]]);
});
