/** Keys and certificates for tests of decisions about them. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { HostKey } from '#agent/host/host-key.ts';
import {
  type Certificate,
  type CertificateFields,
  assembleCertificate,
  decodeCertificate,
  encodeToBeSigned,
} from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';

const pairs = {
  ed25519: () => generateKeyPairSync('ed25519'),
  ecdsa: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

export function sampleHostKey(kind: keyof typeof pairs, path = `/etc/ssh/ssh_host_${kind}_key`): HostKey {
  const publicKey = publicKeyFromObject(pairs[kind]().publicKey);
  const blob = encodePublicKey(publicKey);
  const sign = async () => Promise.reject(new TypeError('a sample does not sign'));
  return { path, publicKey, blob, fingerprint: fingerprintOf(blob), holder: 'file', sign };
}

export const sampleNow = 1_800_000_000n;
export const sampleCa = generateKeyPairSync('ed25519').privateKey;
export const sampleCaKey = publicKeyFromObject(sampleCa);

/** Valid for a day around `sampleNow`. */
export function sampleCertificate(key: HostKey, fields: Partial<CertificateFields> = {}): Certificate {
  const toBeSigned = encodeToBeSigned({
    key: key.publicKey,
    type: 'host',
    serial: 7n,
    keyId: 'sample',
    principals: ['web1.example.internal'],
    validAfter: sampleNow - 60n,
    validBefore: sampleNow + 86_400n,
    criticalOptions: [],
    extensions: [],
    nonce: randomBytes(32),
    signatureKey: sampleCaKey,
    ...fields,
  });
  return decodeCertificate(assembleCertificate(toBeSigned, signWithKeyObject(sampleCa, 'ssh-ed25519', toBeSigned)));
}
