/** Each certificate that a sign-in must not take, refused by its own fault; the sound one taken. */
import { describe, expect, it } from 'vitest';
import { checkUserCertificate } from '#agent/user/login/user-certificate.ts';
import { encodeBase64 } from '#openssh/base64.ts';
import { type CertificateFields, flagOption, textOption } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { sampleCa, sampleCertificate, sampleKeys } from '../../../openssh/samples.ts';

const now = 1_800_000_000n;
const key = sampleKeys['ssh-ed25519'].publicKey;
const keyBlob = encodePublicKey(key);
const trustedCas = new Set([fingerprintOf(encodePublicKey(sampleCa.publicKey))]);
const sound: Partial<CertificateFields> = {
  key,
  type: 'user',
  principals: ['alice'],
  validAfter: now - 60n,
  validBefore: now + 3600n,
  criticalOptions: [],
  extensions: [],
};

function check(changes: Partial<CertificateFields>, cas = trustedCas) {
  const { blob } = sampleCertificate({ ...sound, ...changes });
  return checkUserCertificate(encodeBase64(blob), { keyBlob, trustedCas: cas, now });
}

describe('the certificate', () => {
  it('for our key, by the pinned CA, valid now, is taken', () => {
    expect(check({})).toMatchObject({ principals: ['alice'] });
    expect(check({ criticalOptions: [textOption('source-address', '10.0.0.0/8')] })).toMatchObject({ type: 'user' });
  });

  it('may begin a little later than our clock says, not much later', () => {
    expect(check({ validAfter: now + 60n })).toMatchObject({ type: 'user' });
    expect(check({ validAfter: now + 61n })).toBe('not-yet-valid');
  });

  it.each([
    ['another-key', { key: sampleKeys['ecdsa-sha2-nistp256'].publicKey }],
    ['wrong-type', { type: 'host' }],
    ['expired', { validBefore: now }],
    ['unknown-critical-option', { criticalOptions: [flagOption('new@example.com')] }],
  ] as const)('is refused: %s', (fault, changes) => {
    expect(check(changes as Partial<CertificateFields>)).toBe(fault);
  });

  it('of another CA, damaged, or no certificate at all is refused', () => {
    expect(check({}, new Set())).toBe('untrusted-ca');
    const damaged = sampleCertificate(sound).blob.slice();
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    expect(checkUserCertificate(encodeBase64(damaged), { keyBlob, trustedCas, now })).toBe('bad-signature');
    expect(checkUserCertificate('not base64!', { keyBlob, trustedCas, now })).toBe('malformed');
    expect(checkUserCertificate('AAAA', { keyBlob, trustedCas, now })).toBe('malformed');
  });
});
