/**
 * Attestation certificates of a YubiHSM (Yubico, "Attestation"): what the device states about one of its keys, signed with the key that
 * the vendor put into it. Pure.
 *
 * What it proves: this public key belongs to a private key in that device, and was made there when the origin says so. That the device is
 * the vendor's is proven only by a chain to the vendor's root, which who asks must have from the vendor.
 *
 * Refused on purpose: extensions that are missing, doubled or of another form than published; Ed25519 keys, which the device cannot attest.
 */
import 'reflect-metadata'; // @peculiar/x509 resolves its algorithms through it
import { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { publicKeyFromObject, type PublicKey } from '#openssh/public-key.ts';
import { decodeOrigin, type Origin } from './commands/objects.ts';
import { HsmError } from './errors.ts';

/** What a device states about a key. */
export interface Attestation {
  readonly certificate: X509Certificate;
  readonly publicKey: PublicKey;
  /** Of the device. */
  readonly serial: number;
  readonly firmware: readonly number[];
  readonly origin: Origin;
  /** As bits. */
  readonly domains: number;
  readonly capabilities: bigint;
  readonly id: number;
  readonly label: string;
}

const arc = '1.3.6.1.4.1.41482.4';
const tags = { integer: 0x02, bitString: 0x03, octetString: 0x04, utf8: 0x0c } as const;

/** Reads what a device answered. Throws {@link HsmError} `answer-malformed`. It is not verified: see {@link verifyAttestation}. */
export function readAttestation(der: Uint8Array): Attestation {
  const certificate = parse(der);
  const values = vendorExtensions(certificate.raw);
  return {
    certificate,
    publicKey: publicKeyFromObject(certificate.publicKey),
    firmware: [...valueOf(values, 1, tags.octetString)],
    serial: Number(integerOf(values, 2)),
    origin: decodeOrigin(bitsOf(values, 3, 1)[0]!),
    domains: bitsOf(values, 4, 2).readUInt16BE(),
    capabilities: bitsOf(values, 5, 8).readBigUInt64BE(),
    id: Number(integerOf(values, 6)),
    label: valueOf(values, 9, tags.utf8).toString('utf8'),
  };
}

/** What is wrong with a chain from an attestation to the certificate that its device came with; undefined when it holds. */
export function verifyAttestation(
  attestation: Attestation,
  device: X509Certificate,
): 'not-issued-by-device' | undefined {
  const { certificate } = attestation;
  return certificate.checkIssued(device) && certificate.verify(device.publicKey) ? undefined : 'not-issued-by-device';
}

/** Says whether a chain leads from the certificate that a device came with to one of these, the vendor's. */
export function leadsTo(device: X509Certificate, vendor: readonly X509Certificate[], depth = 4): boolean {
  if (vendor.some((each) => each.fingerprint256 === device.fingerprint256)) return true;
  if (depth === 0) return false;
  return vendor.some(
    (each) =>
      device.checkIssued(each) &&
      device.verify(each.publicKey) &&
      (isRoot(each) || leadsTo(each, without(vendor, each), depth - 1)),
  );
}

function isRoot(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}

function without(all: readonly X509Certificate[], one: X509Certificate): X509Certificate[] {
  return all.filter((each) => each !== one);
}

function parse(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (cause) {
    throw new HsmError('answer-malformed', 'the attestation is not an X.509 certificate', { cause });
  }
}

/** The values of the extensions below the vendor's arc, by their last number. */
function vendorExtensions(der: Uint8Array): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (const { type, value } of new x509.X509Certificate(new Uint8Array(der)).extensions) {
    const number = type.startsWith(`${arc}.`) ? Number(type.slice(arc.length + 1)) : undefined;
    if (number === undefined) continue;
    if (found.has(number)) throw malformed();
    found.set(number, Buffer.from(value));
  }
  return found;
}

/** The content of one DER value of this type. */
function valueOf(values: ReadonlyMap<number, Buffer>, number: number, tag: number): Buffer {
  const value = values.get(number);
  if (value === undefined || value[0] !== tag || value[1] !== value.length - 2) throw malformed();
  return value.subarray(2);
}

function integerOf(values: ReadonlyMap<number, Buffer>, number: number): bigint {
  const content = valueOf(values, number, tags.integer);
  if (content.length === 0 || content.length > 5 || content[0]! >= 0x80) throw malformed();
  return BigInt(`0x${content.toString('hex')}`);
}

function bitsOf(values: ReadonlyMap<number, Buffer>, number: number, length: number): Buffer {
  const content = valueOf(values, number, tags.bitString);
  if (content.length !== length + 1 || content[0] !== 0) throw malformed();
  return content.subarray(1);
}

function malformed(): HsmError {
  return new HsmError('answer-malformed', 'the attestation does not state what the vendor says that it states');
}
