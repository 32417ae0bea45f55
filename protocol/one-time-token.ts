/**
 * The claims of our one-time tokens (`ott`): a JWT shaped as step-ca's JWK token for SSH, with a confirmation (RFC 7800)
 * that binds it to one SSH key. Signed with ES256 by the CA's token key; `exp` and `jti` are always there.
 */
import { Type, type Static } from 'typebox';
import { FingerprintText } from './wire-text.ts';

/** JOSE algorithms of our tokens: exactly this one. `none`, HMAC and encryption are refused by omission. */
export const TOKEN_ALGORITHMS = ['ES256'];

export const OneTimeTokenClaims = Type.Object({
  iss: Type.String({ minLength: 1, maxLength: 256 }),
  sub: Type.String({ minLength: 1, maxLength: 1024 }),
  aud: Type.String({ minLength: 1, maxLength: 1024 }),
  iat: Type.Integer(),
  nbf: Type.Integer(),
  exp: Type.Integer(),
  jti: Type.String({ minLength: 16, maxLength: 128 }),
  /** Hex SHA-256 of the root certificate: lets a step client start from the token alone. */
  sha: Type.Optional(Type.String({ maxLength: 128 })),
  step: Type.Object({
    ssh: Type.Object({
      certType: Type.Union([Type.Literal('user'), Type.Literal('host')]),
      keyID: Type.String({ minLength: 1, maxLength: 1024 }),
      principals: Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), { minItems: 1, maxItems: 256 }),
      validAfter: Type.String({ maxLength: 64 }),
      validBefore: Type.String({ maxLength: 64 }),
    }),
  }),
  /** `kid` is the fingerprint of the only key that this token may certify. */
  cnf: Type.Optional(Type.Object({ kid: FingerprintText })),
  /** Of an enrolment: what was proven, for trust on first use. */
  enrolment: Type.Optional(
    Type.Object({
      id: Type.String({ minLength: 1, maxLength: 64 }),
      names: Type.Array(Type.String(), { minItems: 1 }),
      addresses: Type.Array(Type.String(), { minItems: 1 }),
      port: Type.Integer(),
      /** The enrolled key that vouched for this further key of the same host. */
      vouchedBy: Type.Optional(FingerprintText),
    }),
  ),
});
export type OneTimeTokenClaims = Static<typeof OneTimeTokenClaims>;
