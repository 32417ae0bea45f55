/** Keys, certificates and session binds for agent tests, made with real cryptography. */
import { type KeyObject, generateKeyPairSync } from 'node:crypto';
import { encodeSessionBind } from '#openssh/agent-session-bind.ts';
import {
  type Certificate,
  type CertificateFields,
  assembleCertificate,
  decodeCertificate,
  encodeToBeSigned,
} from '#openssh/certificate.ts';
import type { KeyType } from '#openssh/key-type.ts';
import type { PrivateKeyFields } from '#openssh/private-key-fields.ts';
import { type PublicKey, encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { encodeSignature, signWithKeyObject } from '#openssh/signature.ts';

export interface SampleKey {
  readonly privateKey: KeyObject;
  readonly publicKey: PublicKey;
  readonly blob: Uint8Array;
}

/** Seconds: the middle of every sample certificate's validity. */
export const SAMPLE_NOW = 1_800_000_000n;

export function sampleKey(type: KeyType = 'ssh-ed25519'): SampleKey {
  const privateKey = generate(type);
  const publicKey = publicKeyFromObject(privateKey);
  return { privateKey, publicKey, blob: encodePublicKey(publicKey) };
}

function generate(type: KeyType): KeyObject {
  if (type === 'ssh-rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  if (type === 'ssh-ed25519') return generateKeyPairSync('ed25519').privateKey;
  const namedCurve = { nistp256: 'P-256', nistp384: 'P-384', nistp521: 'P-521' }[type.slice(-8)] ?? 'P-256';
  return generateKeyPairSync('ec', { namedCurve }).privateKey;
}

export function fieldsOf({ privateKey, publicKey }: SampleKey, certificate?: Certificate): PrivateKeyFields {
  return { privateKey, publicKey, ...(certificate === undefined ? {} : { certificate }) } as PrivateKeyFields;
}

export function sampleCertificate(key: SampleKey, ca: SampleKey, fields: Partial<CertificateFields> = {}): Certificate {
  const toBeSigned = encodeToBeSigned({
    key: key.publicKey,
    type: 'user',
    serial: 7n,
    keyId: 'sample',
    principals: ['alice'],
    validAfter: SAMPLE_NOW - 1000n,
    validBefore: SAMPLE_NOW + 1000n,
    criticalOptions: [],
    extensions: [],
    nonce: new Uint8Array(32).fill(1),
    signatureKey: ca.publicKey,
    ...fields,
  });
  return decodeCertificate(
    assembleCertificate(toBeSigned, signWithKeyObject(ca.privateKey, 'ssh-ed25519', toBeSigned)),
  );
}

/** The contents of a session bind as an ssh client sends it after a key exchange with `host`. */
export function sampleBind(
  host: SampleKey,
  options: { sessionId?: Uint8Array; isForwarding?: boolean; shown?: Uint8Array; signer?: SampleKey } = {},
): Uint8Array {
  const sessionId = options.sessionId ?? new Uint8Array(32).fill(host.blob.at(-1) ?? 1);
  const signer = options.signer ?? host;
  return encodeSessionBind({
    hostKeyBlob: options.shown ?? host.blob,
    sessionId,
    signature: encodeSignature(signWithKeyObject(signer.privateKey, 'ssh-ed25519', sessionId)),
    isForwarding: options.isForwarding ?? false,
  });
}
