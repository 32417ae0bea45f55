/**
 * A session as one text for the keychain, and back: what brings it to life again after the agent or the machine was started anew. The key is in it
 * only where the sign-in is bound to it: a refreshed ID token is then good for no other key. Encoding beside decoding; nothing else reads it.
 */
import { createPrivateKey } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { decodeBase64, decodeBase64Url, encodeBase64, encodeBase64Url } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { FormatError } from '#openssh/format-error.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { equalBytes } from '#openssh/wire.ts';
import { type BoundKey, boundKeyOf, createBoundKey } from '../login/key-binding.ts';
import { MAX_REFRESH_TOKEN_LENGTH } from '../login/provider-tokens.ts';
import type { HeldCertificate, Session } from './session.ts';

/** Windows takes 2,560 bytes for a secret; the certificate can be had again. */
const MAX_LENGTH_WITH_CERTIFICATE = 2400;
const Base64Url = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' });

const SecretText = Type.Object(
  {
    version: Type.Literal(1),
    id: Type.String({ pattern: '^[A-Za-z0-9_-]{8,64}$' }),
    stateDirectory: Type.String({ maxLength: 4096 }),
    providerCa: Type.Optional(Type.String({ maxLength: 4096 })),
    ca: Type.String({ pattern: '^https://', maxLength: 1024 }),
    provisioner: Type.String({ minLength: 1, maxLength: 1024 }),
    signedInAt: Type.Number(),
    refreshToken: Type.String({ minLength: 1, maxLength: MAX_REFRESH_TOKEN_LENGTH }),
    /** JWK `d` and `x` of the key, and the salt of the nonce. */
    key: Type.Optional(Type.Object({ d: Base64Url, x: Base64Url, salt: Base64Url })),
    certificate: Type.Optional(Type.Object({ blob: Type.String({ maxLength: 16 * 1024 }), obtainedAt: Type.Number() })),
  },
  { additionalProperties: false },
);
type SecretText = Static<typeof SecretText>;

/** Undefined for a session without a refresh token: nothing of it outlives the agent. */
export function formatSecret(session: Session): string | undefined {
  const { place, refreshToken, held, isBound } = session;
  if (refreshToken === undefined) return undefined;
  const value: SecretText = {
    version: 1,
    id: session.id,
    stateDirectory: place.stateDirectory,
    ...(place.providerCa === undefined ? {} : { providerCa: place.providerCa }),
    ca: session.caUrl,
    provisioner: session.provisionerName,
    signedInAt: session.signedInAt,
    refreshToken,
    ...(isBound ? { key: formatKey(session.key) } : {}),
  };
  const short = JSON.stringify(value);
  if (held === undefined || !isBound) return short; // a certificate without its key is of no use
  const certificate = { blob: encodeBase64(held.certificate.blob), obtainedAt: held.obtainedAt };
  const whole = JSON.stringify({ ...value, certificate });
  return whole.length <= MAX_LENGTH_WITH_CERTIFICATE ? whole : short;
}

/** Undefined for anything that we did not write. */
export function parseSecret(text: string): Session | undefined {
  const value = parseJson(text);
  if (!Value.Check(SecretText, value)) return undefined;
  try {
    return sessionOf(value);
  } catch (error) {
    if (error instanceof FormatError || error instanceof TypeError || isKeyError(error)) return undefined;
    throw error;
  }
}

function sessionOf(value: SecretText): Session {
  const key = value.key === undefined ? createBoundKey() : parseKey(value.key);
  const held = value.certificate === undefined ? undefined : parseHeld(value.certificate, key);
  return {
    id: value.id,
    place: {
      stateDirectory: value.stateDirectory,
      ...(value.providerCa === undefined ? {} : { providerCa: value.providerCa }),
    },
    caUrl: value.ca,
    provisionerName: value.provisioner,
    signedInAt: value.signedInAt,
    key,
    isBound: value.key !== undefined,
    refreshToken: value.refreshToken,
    storedIn: 'keychain',
    ...(held === undefined ? {} : { held }),
  };
}

function formatKey({ privateKey, salt }: BoundKey): NonNullable<SecretText['key']> {
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  return { d, x, salt: encodeBase64Url(salt) };
}

function parseKey({ d, x, salt }: NonNullable<SecretText['key']>): BoundKey {
  const privateKey = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', d, x }, format: 'jwk' });
  return boundKeyOf(privateKey, decodeBase64Url(salt));
}

function parseHeld({ blob, obtainedAt }: NonNullable<SecretText['certificate']>, key: BoundKey): HeldCertificate {
  const certificate = decodeCertificate(decodeBase64(blob));
  if (!equalBytes(encodePublicKey(certificate.key), key.blob)) throw new TypeError('a certificate of another key');
  return { certificate, obtainedAt };
}

/** Node's own, for a key that is none. */
function isKeyError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
