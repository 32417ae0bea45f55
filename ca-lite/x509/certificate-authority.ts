/**
 * The small X.509 CA behind the API's TLS (RFC 5280): root, intermediate, server certificate. P-256 throughout, since every
 * TLS client has it. The root's fingerprint is what people carry to a client; the root signs the intermediate and nothing else.
 */
import 'reflect-metadata'; // @peculiar/x509 resolves its algorithms through it
import { type KeyObject, generateKeyPair, hash, randomBytes, webcrypto } from 'node:crypto';
import { promisify } from 'node:util';
import * as x509 from '@peculiar/x509';
import { isIP } from 'node:net';

/** P-256 with SHA-256, for every signature here. */
export const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

const DAY_MS = 86_400_000;
/** Clients with a clock that is a little behind accept the certificate at once. */
const BACKDATE_MS = 5 * 60_000;
export const ROOT_LIFETIME_DAYS = 3652;
export const SERVER_LIFETIME_DAYS = 30;

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

export interface X509Identity {
  readonly certificatePem: string;
  readonly privateKey: KeyObject;
}

/** A fresh P-256 key pair for one of the certificates here. */
export async function generateX509Key(): Promise<KeyObject> {
  return (await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })).privateKey;
}

/** Self-signed; may sign one level of CA below itself. */
export async function createRoot(name: string, privateKey: KeyObject, now: Date): Promise<X509Identity> {
  const keys = await cryptoKeys(privateKey);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(now, ROOT_LIFETIME_DAYS),
    serialNumber: randomSerial(),
    name: subjectNamed(`${name} Root CA`),
    keys,
    signingAlgorithm,
    extensions: await caExtensions(keys.publicKey, 1),
  });
  return { certificatePem: certificate.toString('pem'), privateKey };
}

/** Signed by the root, for as long as the root lives; signs server certificates only. */
export async function createIntermediate(
  name: string,
  root: X509Identity,
  privateKey: KeyObject,
  now: Date,
): Promise<X509Identity> {
  const issuer = new x509.X509Certificate(root.certificatePem);
  const keys = await cryptoKeys(privateKey);
  const certificate = await x509.X509CertificateGenerator.create({
    notBefore: validity(now, ROOT_LIFETIME_DAYS).notBefore,
    notAfter: issuer.notAfter,
    serialNumber: randomSerial(),
    subject: subjectNamed(`${name} Intermediate CA`),
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: (await cryptoKeys(root.privateKey)).privateKey,
    signingAlgorithm,
    extensions: [...(await caExtensions(keys.publicKey, 0)), await authorityOf(issuer)],
  });
  return { certificatePem: certificate.toString('pem'), privateKey };
}

/** The TLS certificate of the API, for the names and addresses that clients reach it by. */
export async function createServerCertificate(
  dnsNames: readonly string[],
  intermediate: X509Identity,
  privateKey: KeyObject,
  now: Date,
): Promise<X509Identity> {
  const issuer = new x509.X509Certificate(intermediate.certificatePem);
  const keys = await cryptoKeys(privateKey);
  const { notBefore, notAfter } = validity(now, SERVER_LIFETIME_DAYS);
  const certificate = await x509.X509CertificateGenerator.create({
    notBefore,
    notAfter: notAfter < issuer.notAfter ? notAfter : issuer.notAfter,
    serialNumber: randomSerial(),
    subject: subjectNamed(dnsNames[0] ?? 'Countersign'),
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: (await cryptoKeys(intermediate.privateKey)).privateKey,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([SERVER_AUTH]),
      new x509.SubjectAlternativeNameExtension(
        dnsNames.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await authorityOf(issuer),
    ],
  });
  return { certificatePem: certificate.toString('pem'), privateKey };
}

/** What a server certificate says, for the decision to replace it. */
export interface ServerCertificateFacts {
  readonly names: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export function readServerCertificate(pem: string): ServerCertificateFacts {
  const certificate = new x509.X509Certificate(pem);
  const names =
    certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map(({ value }) => value) ?? [];
  return { names, notBefore: certificate.notBefore, notAfter: certificate.notAfter };
}

/** Hex SHA-256 over the DER of the first certificate in `pem`: what `bootstrap --fingerprint` takes. */
export function x509Fingerprint(pem: string): string {
  return hash('sha256', new Uint8Array(new x509.X509Certificate(pem).rawData), 'hex');
}

/** A key of ours as WebCrypto has it, which @peculiar/x509 works with. */
export async function cryptoKeys(privateKey: KeyObject): Promise<webcrypto.CryptoKeyPair> {
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const extractable = await webcrypto.subtle.importKey('pkcs8', new Uint8Array(pkcs8), signingAlgorithm, true, [
    'sign',
  ]);
  const { d: _, key_ops: __, ...jwk } = await webcrypto.subtle.exportKey('jwk', extractable);
  const publicKey = await webcrypto.subtle.importKey('jwk', jwk, signingAlgorithm, true, ['verify']);
  return { privateKey: extractable, publicKey };
}

function validity(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - BACKDATE_MS), notAfter: new Date(now.getTime() + days * DAY_MS) };
}

/** Positive, 127 random bits (RFC 5280 section 4.1.2.2). */
function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** Structured, so that no character of a CA's name is taken for syntax (RFC 4514). */
export function subjectNamed(commonName: string): x509.JsonName {
  return [{ CN: [commonName] }];
}

async function caExtensions(publicKey: webcrypto.CryptoKey, pathLength: number): Promise<x509.Extension[]> {
  return [
    new x509.BasicConstraintsExtension(true, pathLength, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
  ];
}

async function authorityOf(issuer: x509.X509Certificate): Promise<x509.Extension> {
  return x509.AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export());
}
