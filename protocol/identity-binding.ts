/**
 * Sign-in with OpenID Connect: how an ID token is bound to the SSH key that it gets a certificate for, and what a provisioner tells its clients.
 * The `nonce` that goes to the identity provider commits to the key, and the request to POST /ssh/sign is signed by the key: an ID token that
 * somebody steals, on the way or from a log, gets no certificate for any other key, and not even one for this key.
 */
import { hash } from 'node:crypto';
import { Type, type Static } from 'typebox';
import { encodeBase64Url } from '#openssh/base64.ts';
import { Base64 } from './wire-text.ts';

/** SSHSIG namespace of the key's signature over the ID token. */
export const IDENTITY_NAMESPACE = 'identity-proof@countersign';
/** Bytes of the random salt in a nonce. */
export const SALT_LENGTH = 32;
const NONCE_DOMAIN = 'countersign-identity-nonce-v1\0';

/** Member `identityProof` of POST /ssh/sign, beside an ID token as `ott`. */
export const IdentityProof = Type.Object({
  salt: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: 'the 32 random bytes behind the nonce, base64url' }),
  signature: Type.Unsafe<string>({
    ...Base64,
    description: `base64 of an SSHSIG by the key over SHA-256 of the ID token, namespace ${IDENTITY_NAMESPACE}`,
  }),
});
export type IdentityProof = Static<typeof IdentityProof>;

/**
 * The `nonce` for the authorization request: base64url of SHA-256 over the domain, the salt and SHA-256 of the public key blob.
 * @throws TypeError for a salt of another length than 32 bytes
 */
export function identityNonce(publicKeyBlob: Uint8Array, salt: Uint8Array): string {
  if (salt.length !== SALT_LENGTH) throw new TypeError('the salt has 32 bytes');
  const parts = [new TextEncoder().encode(NONCE_DOMAIN), salt, hash('sha256', publicKeyBlob, 'buffer')];
  return encodeBase64Url(hash('sha256', Buffer.concat(parts), 'buffer'));
}

/** What the key signs: SHA-256 of the ID token exactly as it is sent. */
export function identityProofMessage(idToken: string): Uint8Array {
  return hash('sha256', idToken, 'buffer');
}

/** Member `countersign` of an OIDC provisioner in GET /provisioners, beside step-ca's own members. */
export const OidcClientSettings = Type.Object({
  /** Redirect URIs to try in this order; port 0: any free port. Only http and the loopback hosts 127.0.0.1, [::1], localhost. */
  redirectUris: Type.Array(
    Type.String({ pattern: '^http://(127\\.0\\.0\\.1|\\[::1\\]|localhost)(:\\d{1,5})?(/[!-~]*)?$' }),
    {
      minItems: 1,
      maxItems: 16,
    },
  ),
  /** `none`: for workloads, whose tokens cannot hold a nonce; the salt of the proof is then random and means nothing. */
  nonceBinding: Type.Union([Type.Literal('required'), Type.Literal('optional'), Type.Literal('none')]),
  deviceFlow: Type.Boolean({ description: 'the provider has the device flow and the CA takes its tokens' }),
  /** Extra parameters of the authorization request, such as acr_values, max_age, prompt. */
  authorizationParameters: Type.Record(Type.String(), Type.String()),
  pushedAuthorization: Type.Boolean({ description: 'use PAR (RFC 9126) where the provider offers it' }),
  /** For a provider with a private CA: trusted besides those of the system, for this provider alone. */
  providerCertificates: Type.Optional(Type.String({ maxLength: 256 * 1024, description: 'PEM, one or more' })),
  /** Certificates renew by their key (POST /ssh/renew) for so long after the sign-in, and so often; absent: they do not. */
  renewal: Type.Optional(
    Type.Object({ forSeconds: Type.Integer({ minimum: 1 }), times: Type.Integer({ minimum: 1, maximum: 100_000 }) }),
  ),
});
export type OidcClientSettings = Static<typeof OidcClientSettings>;
