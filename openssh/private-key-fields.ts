/**
 * One private key as the `openssh-key-v1` file and the agent's "add identity" message both hold it: type name, then, for a
 * certified key, its certificate, then the numbers (OpenSSH PROTOCOL.key section 3, RFC 9987 section 5.2; `sshkey_private_serialize`).
 * Refused on purpose: keys whose private and public halves differ, a certificate for another key, DSA, ML-DSA.
 */
import type { KeyObject } from 'node:crypto';
import { type Certificate, MAX_CERTIFICATE_LENGTH, decodeCertificate } from './certificate.ts';
import { FormatError } from './format-error.ts';
import { ecdsaKeyObject, ed25519KeyObject, exportSecrets, rsaKeyObject } from './key-pair.ts';
import {
  type KeyType,
  MAX_ALGORITHM_NAME_LENGTH,
  keyTypeNamed,
  keyTypeOfCertificateType,
  keyTypes,
} from './key-type.ts';
import {
  type EcdsaPublicKey,
  type Ed25519PublicKey,
  type PublicKey,
  type RsaPublicKey,
  type SkEcdsaPublicKey,
  type SkEd25519PublicKey,
  MAX_PUBLIC_KEY_LENGTH,
  curves,
  decodePublicKey,
  encodePublicKey,
  publicKeyFromObject,
  readPublicKeyFields,
  writePublicKeyFields,
} from './public-key.ts';
import { type WireReader, type WireWriter, equalBytes } from './wire.ts';

const MAX_KEY_HANDLE_LENGTH = 4 * 1024;

/** A key that this process can sign with. */
export interface SoftwareKey {
  readonly privateKey: KeyObject;
  readonly publicKey: Ed25519PublicKey | EcdsaPublicKey | RsaPublicKey;
  readonly comment: string;
}

/** A FIDO key: what is needed to ask the device for a signature. */
export interface SecurityKey {
  readonly privateKey?: undefined;
  readonly publicKey: SkEd25519PublicKey | SkEcdsaPublicKey;
  /** SSH_SK_* bits of PROTOCOL.u2f: 0x01 touch, 0x04 PIN or biometrics, 0x20 resident. */
  readonly flags: number;
  readonly keyHandle: Uint8Array;
  readonly reserved: Uint8Array;
  readonly comment: string;
}

/** Narrow with `key.privateKey === undefined`. */
export type PrivateKey = SoftwareKey | SecurityKey;

type Uncommented<Key> = Key extends unknown ? Omit<Key, 'comment'> : never;
export type PrivateKeyFields = Uncommented<PrivateKey> & { readonly certificate?: Certificate };

/** Reads one key, without its comment; bytes that the result holds are copies. @throws FormatError */
export function readPrivateKeyFields(reader: WireReader): PrivateKeyFields {
  const name = reader.text(MAX_ALGORITHM_NAME_LENGTH);
  const certifiedType = keyTypeOfCertificateType(name);
  if (certifiedType === undefined) return readNumbers(keyTypeNamed(name), reader);
  const certificate = decodeCertificate(reader.string(MAX_CERTIFICATE_LENGTH).slice());
  if (certificate.key.type !== certifiedType)
    throw new FormatError('bad-value', 'the certificate is of another type than the private key');
  const fields = readNumbers(certifiedType, reader, certificate.key);
  if (!equalBytes(encodePublicKey(fields.publicKey), encodePublicKey(certificate.key)))
    throw new FormatError('bad-value', 'the certificate is for another key');
  return { ...fields, certificate };
}

/** The inverse of `readPrivateKeyFields`. @throws TypeError for a certificate of another key, or a key of a kind SSH lacks */
export function writePrivateKeyFields(fields: PrivateKeyFields, writer: WireWriter): void {
  const { publicKey, certificate } = fields;
  if (certificate !== undefined) {
    if (!equalBytes(encodePublicKey(publicKey), encodePublicKey(certificate.key)))
      throw new TypeError('the certificate is for another key');
    writer.string(keyTypes[publicKey.type].certificateType).string(certificate.blob);
  } else {
    writer.string(publicKey.type);
  }
  if (fields.privateKey === undefined) writeSecurityKey(fields, writer, certificate !== undefined);
  else writeSoftwareKey(fields.publicKey, fields.privateKey, writer, certificate !== undefined);
}

/** The fields of a key made by node:crypto. @throws FormatError `unsupported-algorithm` for a kind of key SSH lacks */
export function fieldsOfKeyObject(privateKey: KeyObject): Uncommented<SoftwareKey> {
  return { privateKey, publicKey: publicKeyFromObject(privateKey) as SoftwareKey['publicKey'] };
}

/** `known` is the public key of the certificate, whose numbers RSA and ECDSA do not repeat. */
function readNumbers(type: KeyType, reader: WireReader, known?: PublicKey): PrivateKeyFields {
  switch (type) {
    case 'ssh-ed25519':
      return readEd25519(reader);
    case 'ssh-rsa':
      return known === undefined ? readRsa(reader) : readCertifiedRsa(known as RsaPublicKey, reader);
    case 'sk-ssh-ed25519@openssh.com':
      return readSecurityKey(ownFields(type, reader), reader);
    case 'sk-ecdsa-sha2-nistp256@openssh.com':
      return readSecurityKey(
        known === undefined ? ownFields(type, reader) : repeatedApplication(known, reader),
        reader,
      );
    default:
      return readEcdsa((known as EcdsaPublicKey | undefined) ?? ownFields(type, reader), reader);
  }
}

function readEd25519(reader: WireReader): PrivateKeyFields {
  const publicKey: Ed25519PublicKey = { type: 'ssh-ed25519', key: reader.fixed(32).slice() };
  const seedAndKey = reader.fixed(64);
  if (!equalBytes(seedAndKey.subarray(32), publicKey.key))
    throw new FormatError('bad-value', 'the public key stands twice, and differs');
  return { publicKey, privateKey: ed25519KeyObject(publicKey, seedAndKey.subarray(0, 32)) };
}

function readEcdsa(publicKey: PublicKey, reader: WireReader): PrivateKeyFields {
  const key = publicKey as EcdsaPublicKey;
  return { publicKey: key, privateKey: ecdsaKeyObject(key, reader.mpint(curves[key.type].coordinateLength + 1)) };
}

/** Modulus before exponent here, the other way round in a public key. */
function readRsa(reader: WireReader): PrivateKeyFields {
  const [modulus, exponent] = [reader.mpint(), reader.mpint()];
  const blob = encodePublicKey({ type: 'ssh-rsa', exponent, modulus });
  return readCertifiedRsa(decodePublicKey(blob) as RsaPublicKey, reader);
}

function readCertifiedRsa(publicKey: RsaPublicKey, reader: WireReader): PrivateKeyFields {
  const secrets = { d: reader.mpint(), iqmp: reader.mpint(), p: reader.mpint(), q: reader.mpint() };
  return { publicKey, privateKey: rsaKeyObject(publicKey, secrets) };
}

function readSecurityKey(publicKey: PublicKey, reader: WireReader): PrivateKeyFields {
  return {
    publicKey: publicKey as SecurityKey['publicKey'],
    flags: reader.byte(),
    keyHandle: reader.string(MAX_KEY_HANDLE_LENGTH).slice(),
    reserved: reader.string(MAX_KEY_HANDLE_LENGTH).slice(),
  };
}

/** With a certificate, an ECDSA security key repeats its application alone; a difference shows as a key mismatch later. */
function repeatedApplication(known: PublicKey, reader: WireReader): PublicKey {
  return { ...(known as SkEcdsaPublicKey), application: reader.text(MAX_PUBLIC_KEY_LENGTH) };
}

/** The public fields, copied out of the input. */
function ownFields(type: KeyType, reader: WireReader): PublicKey {
  return decodePublicKey(encodePublicKey(readPublicKeyFields(type, reader)));
}

function writeSoftwareKey(
  publicKey: SoftwareKey['publicKey'],
  privateKey: KeyObject,
  writer: WireWriter,
  certified: boolean,
): void {
  const { d, iqmp, p, q } = exportSecrets(privateKey);
  if (publicKey.type === 'ssh-ed25519') {
    writer.string(publicKey.key).string(Buffer.concat([d, publicKey.key]));
  } else if (publicKey.type !== 'ssh-rsa') {
    if (!certified) writePublicKeyFields(publicKey, writer);
    writer.mpint(d);
  } else {
    if (iqmp === undefined || p === undefined || q === undefined) throw new TypeError('an RSA key without its factors');
    if (!certified) writer.mpint(publicKey.modulus).mpint(publicKey.exponent);
    writer.mpint(d).mpint(iqmp).mpint(p).mpint(q);
  }
}

function writeSecurityKey(key: Uncommented<SecurityKey>, writer: WireWriter, certified: boolean): void {
  if (certified && key.publicKey.type === 'sk-ecdsa-sha2-nistp256@openssh.com')
    writer.string(key.publicKey.application);
  else writePublicKeyFields(key.publicKey, writer);
  writer.byte(key.flags).string(key.keyHandle).string(key.reserved);
}
