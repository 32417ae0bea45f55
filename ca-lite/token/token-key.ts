/** Signing and verifying our one-time tokens (JWT, RFC 7519) with the token key; ES256 and nothing else. */
import { createPublicKey, type KeyObject, verify as verifyCallback } from 'node:crypto';
import { promisify } from 'node:util';
import { SignJWT, calculateJwkThumbprint, exportJWK } from 'jose';
import { Compile } from 'typebox/compile';
import { decodeBase64Url } from '#openssh/base64.ts';
import { FormatError } from '#openssh/format-error.ts';
import {
  type OneTimeTokenClaims,
  OneTimeTokenClaims as ClaimsSchema,
  TOKEN_ALGORITHMS,
} from '#protocol/one-time-token.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { isOwnAudience } from './audience.ts';

/** How far another clock may be off when a token is judged; ours are made and judged by one clock. */
const CLOCK_TOLERANCE_SECONDS = 60;
/** Tokens of ours never live longer, so the memory of used ones is bounded. */
export const MAX_TOKEN_LIFETIME_SECONDS = 3600;

const SIGNATURE_LENGTH = 64;
const MAX_TOKEN_LENGTH = 32 * 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true });
const verifyInPool = promisify(verifyCallback);

/** Compiled: it is asked for every certificate. */
const claimsShape = Compile(ClaimsSchema);

export interface TokenKey {
  readonly keyId: string;
  /** For `/provisioners`. */
  readonly publicJwk: Readonly<Record<string, unknown>>;
  sign(claims: OneTimeTokenClaims): Promise<string>;
  verify(token: string, expected: TokenExpectations): Promise<OneTimeTokenClaims | Refusal>;
}

export interface TokenExpectations {
  readonly issuers: readonly string[];
  /** Names of this CA, without port. */
  readonly dnsNames: readonly string[];
  readonly now: bigint;
}

export async function loadTokenKey(privateKey: KeyObject): Promise<TokenKey> {
  const publicKey = createPublicKey(privateKey);
  const { kty, crv, x, y } = await exportJWK(publicKey);
  const jwk = { kty: kty ?? 'EC', crv: crv ?? '', x: x ?? '', y: y ?? '' };
  const keyId = await calculateJwkThumbprint(jwk);
  const headers = new HeaderCheck();
  return {
    keyId,
    publicJwk: { use: 'sig', alg: 'ES256', kid: keyId, ...jwk },
    sign: (claims) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: keyId }).sign(privateKey),
    verify: async (token, expected) => verify(token, { publicKey, headers }, expected),
  };
}

/**
 * A compact JWS (RFC 7515 section 7.1) by our own key. Done here and not by the library, which goes through WebCrypto: it is asked for every
 * certificate, and this is one job of the thread pool. One algorithm, one type, no critical header; the signature comes before the claims.
 */
async function verify(
  token: string,
  { publicKey, headers }: { readonly publicKey: KeyObject; readonly headers: HeaderCheck },
  expected: TokenExpectations,
): Promise<OneTimeTokenClaims | Refusal> {
  const parts = parseToken(token, headers);
  if (parts === undefined || !(await isSignedBy(publicKey, parts))) return invalid;
  const claims = parseObject(parts.payload);
  if (claims === undefined || !expected.issuers.includes(claims['iss'] as string)) return invalid;
  if (!claimsShape.Check(claims))
    return refuse('token-invalid', 'The token lacks what a token for an SSH certificate must have.');
  return findTimeFault(claims, Number(expected.now)) ?? findClaimFault(claims, expected) ?? claims;
}

const invalid = refuse('token-invalid', 'The token was not made by this CA, or it was altered.');

interface TokenParts {
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  /** base64url. */
  readonly payload: string;
}

function parseToken(token: string, headers: HeaderCheck): TokenParts | undefined {
  const [header = '', payload = '', third = '', ...rest] = token.split('.', 4);
  if (token.length > MAX_TOKEN_LENGTH || rest.length > 0) return undefined;
  const signature = decodeStrictly(third);
  if (!headers.isGood(header) || signature?.length !== SIGNATURE_LENGTH) return undefined;
  return { signed: Buffer.from(`${header}.${payload}`, 'latin1'), signature, payload };
}

/** Reads the headers of tokens. Ours all have the same: the last good one is known by its text. */
class HeaderCheck {
  #good: string | undefined;

  /** @param header base64url */
  isGood(header: string): boolean {
    if (header === this.#good) return true;
    const fields = parseObject(header);
    const isOurs =
      TOKEN_ALGORITHMS.includes(String(fields?.['alg'])) &&
      fields?.['typ'] === 'JWT' &&
      !('crit' in fields) &&
      !('b64' in fields);
    if (isOurs) this.#good = header;
    return isOurs;
  }
}

async function isSignedBy(publicKey: KeyObject, { signed, signature }: TokenParts): Promise<boolean> {
  return verifyInPool('sha256', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
}

/** Undefined for what is no JSON object in UTF-8. */
function parseObject(part: string): Record<string, unknown> | undefined {
  const bytes = decodeStrictly(part);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

function decodeStrictly(text: string): Uint8Array | undefined {
  try {
    return decodeBase64Url(text);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function findTimeFault({ nbf, exp }: OneTimeTokenClaims, now: number): Refusal | undefined {
  if (nbf > now + CLOCK_TOLERANCE_SECONDS)
    return refuse(
      'token-not-yet-valid',
      'The token is not valid yet: the clock of this CA or of the one who made it is wrong.',
    );
  if (exp <= now - CLOCK_TOLERANCE_SECONDS)
    return refuse('token-expired', 'The token has expired. Ask for a new one and use it at once.');
  return undefined;
}

function findClaimFault(claims: OneTimeTokenClaims, expected: TokenExpectations): Refusal | undefined {
  if (!isOwnAudience(claims.aud, expected.dnsNames, 'ssh/sign')) {
    return refuse('token-wrong-audience', 'The token is for another CA or another operation. Ask this CA for a token.');
  }
  if (claims.exp - claims.iat > MAX_TOKEN_LIFETIME_SECONDS)
    return refuse('token-invalid', 'The token lives longer than tokens may.');
  return undefined;
}
