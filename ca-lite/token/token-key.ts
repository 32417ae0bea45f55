/** Signing and verifying our one-time tokens (JWT, RFC 7519) with the token key; ES256 and nothing else. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { SignJWT, calculateJwkThumbprint, errors, exportJWK, jwtVerify } from 'jose';
import { Compile } from 'typebox/compile';
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
  return {
    keyId,
    publicJwk: { use: 'sig', alg: 'ES256', kid: keyId, ...jwk },
    sign: (claims) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: keyId }).sign(privateKey),
    verify: async (token, expected) => verify(token, publicKey, expected),
  };
}

async function verify(
  token: string,
  publicKey: KeyObject,
  expected: TokenExpectations,
): Promise<OneTimeTokenClaims | Refusal> {
  try {
    const { payload } = await jwtVerify(token, publicKey, {
      algorithms: TOKEN_ALGORITHMS,
      typ: 'JWT',
      issuer: [...expected.issuers],
      requiredClaims: ['exp', 'iat', 'nbf', 'jti', 'aud', 'sub'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(Number(expected.now) * 1000),
    });
    if (!claimsShape.Check(payload))
      return refuse('token-invalid', 'The token lacks what a token for an SSH certificate must have.');
    return findClaimFault(payload, expected) ?? payload;
  } catch (error) {
    return refusalOf(error);
  }
}

function findClaimFault(claims: OneTimeTokenClaims, expected: TokenExpectations): Refusal | undefined {
  if (!isOwnAudience(claims.aud, expected.dnsNames, 'ssh/sign')) {
    return refuse('token-wrong-audience', 'The token is for another CA or another operation. Ask this CA for a token.');
  }
  if (claims.exp - claims.iat > MAX_TOKEN_LIFETIME_SECONDS)
    return refuse('token-invalid', 'The token lives longer than tokens may.');
  return undefined;
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof errors.JWTExpired)
    return refuse('token-expired', 'The token has expired. Ask for a new one and use it at once.');
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'nbf' && error.reason === 'check_failed') {
    return refuse(
      'token-not-yet-valid',
      'The token is not valid yet: the clock of this CA or of the one who made it is wrong.',
    );
  }
  if (error instanceof errors.JOSEError)
    return refuse('token-invalid', 'The token was not made by this CA, or it was altered.');
  throw error;
}
