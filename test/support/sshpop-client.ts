/** What a host sends with the key of its certificate: SSHPOP tokens and reports (protocol/renewal.ts, protocol/status.ts), with every field open to change. */
import { type KeyObject, generateKeyPairSync, hash, randomUUID, sign } from 'node:crypto';
import { encodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { type PublicKey, encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { type SshpopOperation, sshpopAlgorithms, sshpopAudience } from '#protocol/renewal.ts';
import { STATUS_REPORT_TYPE, type StatusReport, type StatusRequest } from '#protocol/status.ts';

export interface HostKey {
  readonly privateKey: KeyObject;
  readonly publicKey: PublicKey;
  /** base64 of the public key blob. */
  readonly blob: string;
}

export type HostKeyKind = 'ed25519' | 'p256' | 'p384' | 'p521' | 'rsa';
const curves = { p256: 'P-256', p384: 'P-384', p521: 'P-521' } as const;

export function makeHostKey(kind: HostKeyKind = 'ed25519'): HostKey {
  const privateKey = privateKeyOf(kind);
  const publicKey = publicKeyFromObject(privateKey);
  return { privateKey, publicKey, blob: encodeBase64(encodePublicKey(publicKey)) };
}

function privateKeyOf(kind: HostKeyKind): KeyObject {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey;
  return generateKeyPairSync('ec', { namedCurve: curves[kind] }).privateKey;
}

export interface TokenParts {
  readonly key: HostKey;
  readonly certificate: Uint8Array;
  readonly operation: SshpopOperation;
  /** `host` or `host:port` of the CA. */
  readonly authority: string;
  /** Epoch seconds by the host's clock. */
  readonly now: bigint;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
}

export function sshpopToken({
  key,
  certificate,
  operation,
  authority,
  now,
  claims = {},
  header = {},
}: TokenParts): string {
  const alg = sshpopAlgorithms[key.publicKey.type as keyof typeof sshpopAlgorithms];
  const iat = Number(now);
  const said = {
    iss: 'sshpop',
    sub: String(decodeCertificate(certificate).serial),
    aud: sshpopAudience(authority, operation),
    iat,
    nbf: iat,
    exp: iat + 300,
    jti: randomUUID(),
    ...claims,
  };
  const signed = `${part({ alg, typ: 'JWT', sshpop: encodeBase64(certificate), ...header })}.${part(said)}`;
  return `${signed}.${signatureOver(signed, key, alg).toString('base64url')}`;
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function signatureOver(text: string, { privateKey }: HostKey, alg: string): Buffer {
  const digest = { EdDSA: null, ES256: 'sha256', ES384: 'sha384', ES512: 'sha512', RS256: 'sha256' }[alg] ?? null;
  const data = Buffer.from(text);
  return alg.startsWith('ES')
    ? sign(digest, data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
    : sign(digest, data, privateKey);
}

/** The body of `POST /ssh/status`. */
export function statusRequest(parts: Omit<TokenParts, 'operation'>, said: Partial<StatusReport> = {}): StatusRequest {
  const report: StatusReport = {
    type: STATUS_REPORT_TYPE,
    serial: String(decodeCertificate(parts.certificate).serial),
    agentVersion: '0.1.0',
    trustedHostCas: [],
    trustedUserCas: [],
    krlNumber: '0',
    ...said,
  };
  const bytes = Buffer.from(JSON.stringify(report));
  const claims = { report: hash('sha256', bytes, 'hex'), ...parts.claims };
  return { ott: sshpopToken({ ...parts, operation: 'status', claims }), report: encodeBase64(bytes) };
}
