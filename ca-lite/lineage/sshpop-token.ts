/**
 * SSHPOP tokens (protocol/renewal.ts; step-wire 2.3): a JWT (RFC 7515, RFC 7519) signed by the key of a certificate, which it carries in
 * its header. Pure. Everything is verified here but what only the store knows: whether the token was used and the certificate is on
 * record, revoked or out of date. Whether an expired certificate will do is decided later; its key is proven either way.
 * Refused on purpose: any algorithm but the one of the key, `crit` and so `b64`, a certificate of another CA, and one of a user where only
 * those of hosts count.
 */
import { verify } from 'node:crypto';
import { Value } from 'typebox/value';
import { decodeBase64, decodeBase64Url } from '#openssh/base64.ts';
import { type Certificate, decodeCertificate, verifyCertificateSignature } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { encodePublicKey, publicKeyObject } from '#openssh/public-key.ts';
import {
  SSHPOP_CLOCK_TOLERANCE_SECONDS,
  SSHPOP_MAX_LIFETIME_SECONDS,
  SSHPOP_PROVISIONER,
  SshpopClaims,
  type SshpopOperation,
  sshpopAlgorithms,
} from '#protocol/renewal.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { isOwnAudience } from '../token/audience.ts';
import type { TokenUse } from '../store/decisions.ts';

export interface ProvenCertificate {
  readonly certificate: Certificate;
  readonly keyFingerprint: Fingerprint;
  readonly claims: SshpopClaims;
}

export interface SshpopExpectations {
  readonly operation: SshpopOperation;
  /** Names of this CA, without port. */
  readonly dnsNames: readonly string[];
  /** Fingerprints of every host CA key whose certificates count. */
  readonly hostCas: ReadonlySet<Fingerprint>;
  /** The same of user CA keys; undefined: certificates of users do not count. */
  readonly userCas?: ReadonlySet<Fingerprint> | undefined;
  /** Epoch seconds. */
  readonly now: bigint;
}

const MAX_TOKEN_LENGTH = 32 * 1024;
const TOLERANCE = BigInt(SSHPOP_CLOCK_TOLERANCE_SECONDS);

type JoseAlgorithm = (typeof sshpopAlgorithms)[keyof typeof sshpopAlgorithms];
const digests: Readonly<Record<JoseAlgorithm, string | null>> = {
  EdDSA: null,
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
  RS256: 'sha256',
};

/** The certificate whose key made the token, for this operation of this CA, now; or why not. */
export function verifySshpop(token: string, expected: SshpopExpectations): ProvenCertificate | Refusal {
  const parts = parseToken(token);
  if (parts === undefined) return invalid('it is no JWT with a certificate in its header');
  const { certificate, algorithm, signed, signature, claims } = parts;
  const keyBlob = encodePublicKey(certificate.key);
  const cas = certificate.type === 'host' ? expected.hostCas : expected.userCas;
  if (cas === undefined) return invalid('its certificate is one of a user');
  if (!cas.has(fingerprintOf(encodePublicKey(certificate.signatureKey))))
    return refuse(
      'certificate-unknown',
      'The certificate is of another CA, or of a CA key that was retired. Enrol again.',
    );
  if (algorithm !== algorithmOf(certificate)) return invalid('its algorithm is not the one of its key');
  if (!isSignedBy(certificate, algorithm, signed, signature) || !verifyCertificateSignature(certificate))
    return invalid('a signature does not verify');
  return (
    findClaimFault(claims, certificate, expected) ?? { certificate, keyFingerprint: fingerprintOf(keyBlob), claims }
  );
}

/** What is consumed: the ID belongs to the key, so that nobody else can spend it. */
export function useOf({ claims, keyFingerprint }: ProvenCertificate): TokenUse {
  const expiresAt = BigInt(claims.exp) + TOLERANCE;
  return { id: `${SSHPOP_PROVISIONER}:${keyFingerprint}:${claims.jti}`, expiresAt, recorded: false };
}

interface TokenParts {
  readonly certificate: Certificate;
  readonly algorithm: string;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly claims: SshpopClaims;
}

function parseToken(token: string): TokenParts | undefined {
  const [header = '', payload = '', signature = '', ...rest] = token.split('.', 4);
  if (token.length > MAX_TOKEN_LENGTH || rest.length > 0) return undefined;
  try {
    const fields = parseJson(header);
    const claims = parseJson(payload);
    const { alg, sshpop, typ = 'JWT' } = fields;
    if (typeof alg !== 'string' || typeof sshpop !== 'string' || typ !== 'JWT' || 'crit' in fields) return undefined;
    if (!Value.Check(SshpopClaims, claims)) return undefined;
    const certificate = decodeCertificate(decodeBase64(sshpop));
    publicKeyObject(certificate.key); // a point off its curve shows here
    const signed = Buffer.from(`${header}.${payload}`, 'latin1');
    return { certificate, algorithm: alg, signed, signature: decodeBase64Url(signature), claims };
  } catch (error) {
    if (error instanceof FormatError || error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** @throws FormatError, SyntaxError, TypeError for what is no JSON object in UTF-8 */
function parseJson(part: string): Record<string, unknown> {
  const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(decodeBase64Url(part)));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('not an object');
  return value as Record<string, unknown>;
}

function algorithmOf({ key }: Certificate): JoseAlgorithm | undefined {
  return Object.hasOwn(sshpopAlgorithms, key.type)
    ? sshpopAlgorithms[key.type as keyof typeof sshpopAlgorithms]
    : undefined;
}

function isSignedBy(
  { key }: Certificate,
  algorithm: JoseAlgorithm,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  const object = publicKeyObject(key);
  const options = algorithm.startsWith('ES') ? ({ dsaEncoding: 'ieee-p1363' } as const) : {};
  return verify(digests[algorithm], signed, { key: object, ...options }, signature);
}

function findClaimFault(
  claims: SshpopClaims,
  { serial }: Certificate,
  expected: SshpopExpectations,
): Refusal | undefined {
  const { now, operation, dnsNames } = expected;
  if (BigInt(claims.sub) !== serial) return invalid('its subject is not the serial of its certificate');
  const audience = typeof claims.aud === 'string' ? claims.aud : (claims.aud[0] ?? '');
  const [url = '', fragment, ...rest] = audience.split('#');
  if (
    fragment !== `sshpop/${SSHPOP_PROVISIONER}` ||
    rest.length > 0 ||
    !isOwnAudience(url, dnsNames, `ssh/${operation}`)
  )
    return refuse('token-wrong-audience', 'The token is for another CA or another operation.');
  const lifetime = claims.exp - claims.iat;
  if (lifetime <= 0 || lifetime > SSHPOP_MAX_LIFETIME_SECONDS)
    return invalid(`it must live for 1 to ${SSHPOP_MAX_LIFETIME_SECONDS} seconds`);
  if (BigInt(claims.exp) + TOLERANCE <= now) return refuse('token-expired', `The token has expired. ${clockAdvice}`);
  if (BigInt(Math.max(claims.nbf, claims.iat)) > now + TOLERANCE)
    return refuse('token-not-yet-valid', `The token is from the future. ${clockAdvice}`);
  return undefined;
}

const clockAdvice = 'If the clock of the host is off, make tokens by the time of GET /time.';

function invalid(why: string): Refusal {
  return refuse('token-invalid', `The token is refused: ${why}.`);
}
