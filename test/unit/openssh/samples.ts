/**
 * Keys, signatures and certificates for the tests of the formats: all made at the start of a test file, with real cryptography.
 * Security keys are made in software: the device part of OpenSSH PROTOCOL.u2f is a hash and a signature.
 */
import { type KeyObject, generateKeyPairSync, hash, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  type Certificate,
  type CertificateFields,
  assembleCertificate,
  decodeCertificate,
  encodeToBeSigned,
  flagOption,
  textOption,
} from '#openssh/certificate.ts';
import { type KeyType, type SignatureAlgorithm, keyTypes } from '#openssh/key-type.ts';
import type { PrivateKey } from '#openssh/private-key.ts';
import { type PublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { type Signature, ecdsaBlobFromFixed, signWithKeyObject } from '#openssh/signature.ts';
import { WireWriter } from '#openssh/wire.ts';

export interface SampleKey {
  readonly publicKey: PublicKey;
  /** For a security key the key inside. */
  readonly privateKey: KeyObject;
}

const inner = {
  ed25519: generateKeyPairSync('ed25519').privateKey,
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  caEd25519: generateKeyPairSync('ed25519').privateKey,
};

/** One key of each type. */
export const sampleKeys: Readonly<Record<KeyType, SampleKey>> = {
  'ssh-ed25519': plain(inner.ed25519),
  'ecdsa-sha2-nistp256': plain(inner.p256),
  'ecdsa-sha2-nistp384': plain(inner.p384),
  'ecdsa-sha2-nistp521': plain(inner.p521),
  'ssh-rsa': plain(inner.rsa),
  'sk-ssh-ed25519@openssh.com': {
    publicKey: { type: 'sk-ssh-ed25519@openssh.com', key: edKey(inner.ed25519), application: 'ssh:' },
    privateKey: inner.ed25519,
  },
  'sk-ecdsa-sha2-nistp256@openssh.com': {
    publicKey: { type: 'sk-ecdsa-sha2-nistp256@openssh.com', point: point(inner.p256), application: 'ssh:test' },
    privateKey: inner.p256,
  },
};

/** One private key of each type as a file holds it; security keys with a handle that no device knows. */
export function samplePrivateKey(type: KeyType): PrivateKey {
  const { publicKey, privateKey } = sampleKeys[type];
  if (!('application' in publicKey)) return { publicKey, privateKey, comment: 'a comment' };
  return { publicKey, flags: 1, keyHandle: bytes('handle'), reserved: new Uint8Array(), comment: 'a comment' };
}

export const sampleTypes = Object.keys(sampleKeys) as KeyType[];
export const softwareTypes = sampleTypes.filter((type) => !type.startsWith('sk-'));
export const sampleCa: SampleKey = plain(inner.caEd25519);

function plain(privateKey: KeyObject): SampleKey {
  return { publicKey: publicKeyFromObject(privateKey), privateKey };
}

function edKey(object: KeyObject): Uint8Array {
  const key = publicKeyFromObject(object);
  return 'key' in key ? key.key : new Uint8Array();
}

function point(object: KeyObject): Uint8Array {
  const key = publicKeyFromObject(object);
  return 'point' in key ? key.point : new Uint8Array();
}

/** Signs with any sample key; security keys with touch and PIN unless told otherwise. */
export function signSample(
  key: SampleKey,
  data: Uint8Array,
  algorithm: SignatureAlgorithm = keyTypes[key.publicKey.type].signatureAlgorithms[0],
  sk = { flags: 5, counter: 7 },
): Signature {
  const { publicKey, privateKey } = key;
  if (!('application' in publicKey)) return signWithKeyObject(privateKey, algorithm, data);
  const signed = new WireWriter()
    .raw(hash('sha256', publicKey.application, 'buffer'))
    .byte(sk.flags)
    .uint32(sk.counter)
    .raw(hash('sha256', data, 'buffer'))
    .finish();
  if (publicKey.type === 'sk-ssh-ed25519@openssh.com') return { algorithm, blob: sign(null, signed, privateKey), sk };
  const fixed = sign('sha256', signed, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return { algorithm, blob: ecdsaBlobFromFixed(fixed), sk };
}

/** A user certificate in order, valid from 1,000 to 2,000, unless `changes` say otherwise. */
export function sampleFields(changes: Partial<CertificateFields> = {}): CertificateFields {
  return {
    key: sampleKeys['ssh-ed25519'].publicKey,
    type: 'user',
    serial: 42n,
    keyId: 'alice@example.com',
    principals: ['alice', 'admins'],
    validAfter: 1000n,
    validBefore: 2000n,
    criticalOptions: [textOption('source-address', '192.0.2.0/24')],
    extensions: [flagOption('permit-pty'), flagOption('permit-agent-forwarding')],
    nonce: new Uint8Array(32).fill(9),
    signatureKey: sampleCa.publicKey,
    ...changes,
  };
}

/** Signs the fields with `ca`, whose public key they get. */
export function sampleCertificate(changes: Partial<CertificateFields> = {}, ca: SampleKey = sampleCa): Certificate {
  const toBeSigned = encodeToBeSigned(sampleFields({ ...changes, signatureKey: ca.publicKey }));
  return decodeCertificate(assembleCertificate(toBeSigned, signSample(ca, toBeSigned)));
}

/** A file of `vectors/`. */
export function vector(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`vectors/${name}`, import.meta.url)));
}

export function vectorText(name: string): string {
  return Buffer.from(vector(name)).toString('utf8').trim();
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
}
