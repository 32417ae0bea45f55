/**
 * SIGN ATTESTATION CERTIFICATE, and the certificate that a device comes with as opaque object 0 (Yubico, "Attestation"): an X.509
 * certificate for a key of the device, in which the device states what it knows of that key.
 *
 * Serial: 16 random bytes. Issuer and dates: the subject and dates of the attesting key's certificate, an opaque object of the same id.
 * Subject: `YubiHSM Attestation id:0x` and the id. SHA-256 with RSA or ECDSA. Ed25519 keys are not attested; with which error is not published.
 */
import 'reflect-metadata'; // @peculiar/x509 resolves its algorithms through it
import { createPrivateKey, generateKeyPair, type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { promisify } from 'node:util';
import * as x509 from '@peculiar/x509';
import type { Cursor } from '../cursor.ts';
import { long, short } from '../cursor.ts';
import type { DeviceMemory } from '../device-memory.ts';
import { isEc, isRsa, privateKeyOf, publicKeyOf } from '../key-material.ts';
import { commandNumber, Refusal, types } from '../numbers.ts';
import { type Context, demand, lookUp, usable } from '../rules.ts';
import type { StoredObject } from '../stored-object.ts';
import type { Handler } from './handler.ts';

const arc = '1.3.6.1.4.1.41482.4';
const builtIn = 0;

interface Attester {
  readonly key: KeyObject;
  readonly certificate: x509.X509Certificate;
}

const signAttestation: Handler = async (context, data) => {
  const id = data.uint16();
  const attestingId = data.uint16();
  data.done();
  Object.assign(context.used, { target: id, second: attestingId });
  demand(context, 'signAttestationCertificate');
  const key = lookUp(context, id, types.asymmetricKey);
  if (!isRsa(key.algorithm) && !isEc(key.algorithm)) throw new Refusal('invalidData');
  const attester = attestingId === builtIn ? await builtInAttester(context.memory) : ownAttester(context, attestingId);
  return attest(context, key, attester);
};

function ownAttester(context: Context, id: number): Attester {
  const key = usable(context, id, types.asymmetricKey, 'signAttestationCertificate');
  const certificate = lookUp(context, id, types.opaque);
  return { key: privateKeyOf(key.algorithm, key.value), certificate: new x509.X509Certificate(certificate.value) };
}

/** Made when it is first asked for, since it takes time that few tests need to spend; it survives a reset, as the vendor's does. */
export async function builtInAttester(memory: DeviceMemory): Promise<Attester> {
  memory.attestation ??= await makeBuiltIn(memory.serial);
  memory.save();
  const { key, certificate } = memory.attestation;
  return {
    key: createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' }),
    certificate: new x509.X509Certificate(Buffer.from(certificate, 'base64')),
  };
}

async function makeBuiltIn(serial: number): Promise<{ key: string; certificate: string }> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(16).toString('hex'),
    name: `CN=YubiHSM simulator attestation (${serial})`,
    notBefore: new Date('2017-01-01T00:00:00Z'),
    notAfter: new Date('2071-10-05T00:00:00Z'),
    keys: { privateKey: await signingKey(privateKey), publicKey: await verifyingKey(publicKey) },
    signingAlgorithm: signing('rsa'),
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  return {
    key: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
    certificate: Buffer.from(certificate.rawData).toString('base64'),
  };
}

async function attest({ firmware, memory }: Context, key: StoredObject, attester: Attester): Promise<Buffer> {
  const publicKey = publicKeyOf(key.algorithm, key.value).export({ format: 'der', type: 'spki' });
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(16).toString('hex'),
    subject: `CN=YubiHSM Attestation id:0x${key.id.toString(16).padStart(4, '0')}`,
    issuer: attester.certificate.subject,
    notBefore: attester.certificate.notBefore,
    notAfter: attester.certificate.notAfter,
    publicKey: new x509.PublicKey(publicKey),
    signingKey: await signingKey(attester.key),
    signingAlgorithm: signing(attester.key.asymmetricKeyType ?? ''),
    extensions: [
      extension(1, tlv(0x04, Buffer.from(firmware))),
      extension(2, integer(memory.serial)),
      extension(3, bitString(Buffer.of(key.origin))),
      extension(4, bitString(short(key.domains))),
      extension(5, bitString(long(key.capabilities))),
      extension(6, integer(key.id)),
      extension(9, tlv(0x0c, key.label.subarray(0, labelLength(key.label)))),
    ],
  });
  return Buffer.from(made.rawData);
}

function labelLength(label: Buffer): number {
  const end = label.indexOf(0);
  return end < 0 ? label.length : end;
}

function extension(number: number, value: Buffer): x509.Extension {
  return new x509.Extension(`${arc}.${number}`, false, value);
}

function tlv(tag: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.of(tag, value.length), value]);
}

function bitString(value: Buffer): Buffer {
  return tlv(0x03, Buffer.concat([Buffer.of(0), value]));
}

function integer(value: number): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return tlv(0x02, bytes[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
}

function signing(keyType: string): { name: string; hash: string } {
  return { name: keyType === 'rsa' ? 'RSASSA-PKCS1-v1_5' : 'ECDSA', hash: 'SHA-256' };
}

async function signingKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ format: 'der', type: 'pkcs8' });
  return webcrypto.subtle.importKey('pkcs8', der, importing(key), false, ['sign']);
}

async function verifyingKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ format: 'der', type: 'spki' });
  return webcrypto.subtle.importKey('spki', der, importing(key), true, ['verify']);
}

function importing(key: KeyObject): webcrypto.RsaHashedImportParams | webcrypto.EcKeyImportParams {
  const curves: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return curve === undefined
    ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
    : { name: 'ECDSA', namedCurve: curves[curve] ?? curve };
}

/** GET OPAQUE answers id 0 with the certificate that the device came with. */
export function withBuiltInCertificate(getOpaque: Handler): Handler {
  return async (context, data: Cursor) => {
    const isBuiltIn = data.peekUint16() === builtIn;
    if (!isBuiltIn) return getOpaque(context, data);
    demand(context, 'getOpaque');
    const { certificate } = await builtInAttester(context.memory);
    return Buffer.from(certificate.rawData);
  };
}

export const attestationCommands: readonly (readonly [number, Handler])[] = [
  [commandNumber.signAttestationCertificate, signAttestation],
];
