/**
 * Judges an ID token as the credential for a user certificate: signature, issuer, audience and times (OpenID Connect Core 1.0 section 3.1.3.7)
 * with jose, then the binding to the SSH key, then the claims that the provisioner asks for. Nothing is consumed here.
 */
import { hash } from 'node:crypto';
import { type JWTPayload, type JWTVerifyGetKey, decodeJwt, errors, jwtVerify } from 'jose';
import { decodeBase64, decodeBase64Url } from '#openssh/base64.ts';
import { FormatError } from '#openssh/format-error.ts';
import { decodePublicKey, encodePublicKey } from '#openssh/public-key.ts';
import { decodeSshsig, verifySshsig } from '#openssh/sshsig.ts';
import { equalBytes } from '#openssh/wire.ts';
import {
  IDENTITY_NAMESPACE,
  type IdentityProof,
  identityNonce,
  identityProofMessage,
} from '#protocol/identity-binding.ts';
import { type Refusal, isRefusal, refuse } from '../refusal.ts';
import { findUnmetRule } from './claim-check.ts';
import type { OidcPolicy } from './oidc-policy.ts';
import { ProviderError } from './provider.ts';

export interface JudgedIdToken {
  readonly claims: JWTPayload;
  /** What is consumed when a certificate is issued for it: the same for every text that says the same. */
  readonly id: string;
  readonly expiresAt: bigint;
}

export interface IdTokenRequest {
  readonly token: string;
  readonly publicKeyBlob: Uint8Array;
  readonly proof: IdentityProof | undefined;
  /** Epoch seconds. */
  readonly now: bigint;
}

/** The `iss` that a token claims, unverified: only to pick the provisioner whose rules then judge it. */
export function claimedIssuer(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

export async function judgeIdToken(
  request: IdTokenRequest,
  policy: OidcPolicy,
  getKey: JWTVerifyGetKey,
): Promise<JudgedIdToken | Refusal> {
  const claims = await verify(request, policy, getKey);
  if (isRefusal(claims)) return claims;
  const fault =
    findAudienceFault(claims, policy) ??
    findTimeFault(claims, policy, request.now) ??
    findBindingFault(claims, request, policy);
  if (fault !== undefined) return fault;
  const unmet = findUnmetRule(claims, policy.requirements, request.now);
  if (unmet !== undefined)
    return refuse('identity-not-accepted', `The provisioner ${policy.name} does not accept this sign-in: ${unmet}.`);
  return { claims, id: idOf(request.token), expiresAt: BigInt(claims.exp ?? 0) };
}

/**
 * Over header and payload alone: whoever holds a token can write its signature differently so that it still verifies (an ECDSA signature has
 * a twin, and the last character of base64url bits to spare).
 */
function idOf(token: string): string {
  return `oidc:${hash('sha256', token.slice(0, token.lastIndexOf('.')), 'base64url')}`;
}

async function verify(
  { token, now }: IdTokenRequest,
  policy: OidcPolicy,
  getKey: JWTVerifyGetKey,
): Promise<JWTPayload | Refusal> {
  try {
    const { payload } = await jwtVerify(token, getKey, {
      algorithms: [...policy.algorithms],
      issuer: policy.issuer,
      audience: [policy.clientId, ...policy.audiences],
      requiredClaims: ['exp', 'iat', 'sub'],
      clockTolerance: policy.clockToleranceSeconds,
      currentDate: new Date(Number(now) * 1000),
    });
    return payload;
  } catch (error) {
    return refusalOf(error, policy);
  }
}

function refusalOf(error: unknown, { name }: OidcPolicy): Refusal {
  if (error instanceof ProviderError) {
    return refuse(
      'identity-provider-unavailable',
      `The identity provider of ${name} cannot be used: ${error.message}. Try again later.`,
      15,
    );
  }
  if (error instanceof errors.JWTExpired) return refuse('token-expired', 'The ID token has expired. Sign in again.');
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud')
      return refuse('token-wrong-audience', `The ID token is for another client than the one of ${name}.`);
    if (error.claim === 'nbf') return refuse('token-not-yet-valid', 'The ID token is not valid yet: a clock is wrong.');
    return refuse(
      'token-invalid',
      `The ID token is not as ${name} asks for: the claim "${error.claim}" is missing or wrong.`,
    );
  }
  if (error instanceof errors.JOSEError)
    return refuse('token-invalid', `The ID token is not one that the identity provider of ${name} signed.`);
  throw error;
}

/** Section 3.1.3.7, rules 4 and 5: `azp` names our client when it is there, and must be there for several audiences. */
function findAudienceFault(claims: JWTPayload, policy: OidcPolicy): Refusal | undefined {
  const several = Array.isArray(claims.aud) && claims.aud.length > 1;
  const azp = claims['azp'];
  if (azp === undefined ? !several : azp === policy.clientId) return undefined;
  return refuse(
    'token-wrong-audience',
    `The ID token was issued to another client than the one of ${policy.name} (azp).`,
  );
}

function findTimeFault(claims: JWTPayload, policy: OidcPolicy, now: bigint): Refusal | undefined {
  const age = now - BigInt(Math.floor(claims.iat ?? 0));
  if (age < -BigInt(policy.clockToleranceSeconds))
    return refuse('token-not-yet-valid', 'The ID token comes from the future: a clock is wrong.');
  if (age > BigInt(policy.maxTokenAgeSeconds))
    return refuse('token-expired', `The ID token is ${age} s old; sign in again.`);
  return undefined;
}

/**
 * The nonce commits to the key, and the key has signed the token. Where a proof is given it must be right, asked for or not. Tokens of workloads
 * hold no nonce, and one that does was made for the sign-in of a person, in which it must not be spared.
 */
function findBindingFault(
  claims: JWTPayload,
  { token, publicKeyBlob, proof }: IdTokenRequest,
  policy: OidcPolicy,
): Refusal | undefined {
  if (proof === undefined) {
    if (policy.nonceBinding === 'optional') return undefined;
    return refuse(
      'identity-unbound',
      `The provisioner ${policy.name} asks for a proof that the ID token was made for this key (identityProof).`,
    );
  }
  const isGood =
    policy.nonceBinding === 'none'
      ? claims['nonce'] === undefined && isSigned(token, publicKeyBlob, proof)
      : isBound(claims['nonce'], token, publicKeyBlob, proof);
  if (isGood) return undefined;
  return refuse('identity-unbound', 'The ID token was not made for this key, or the key did not sign it.');
}

function isBound(nonce: unknown, token: string, publicKeyBlob: Uint8Array, proof: IdentityProof): boolean {
  return refusesGarbage(() => {
    const canonical = encodePublicKey(decodePublicKey(publicKeyBlob));
    return nonce === identityNonce(canonical, decodeBase64Url(proof.salt)) && isSigned(token, canonical, proof);
  });
}

function isSigned(token: string, publicKeyBlob: Uint8Array, { signature }: IdentityProof): boolean {
  return refusesGarbage(() => {
    const sshsig = decodeSshsig(decodeBase64(signature));
    const canonical = encodePublicKey(decodePublicKey(publicKeyBlob));
    return (
      equalBytes(sshsig.keyBlob, canonical) && verifySshsig(sshsig, identityProofMessage(token), IDENTITY_NAMESPACE)
    );
  });
}

function refusesGarbage(check: () => boolean): boolean {
  try {
    return check();
  } catch (error) {
    if (error instanceof FormatError || error instanceof TypeError) return false;
    throw error;
  }
}
