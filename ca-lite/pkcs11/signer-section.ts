/** The shape of the `[signer]` section of ca.toml for a PKCS#11 token. Pure. */
import { type Static, Type } from 'typebox';

const strict = { additionalProperties: false } as const;
const Key = Type.Object(
  {
    label: Type.Optional(Type.String({ minLength: 1 })),
    id: Type.Optional(Type.String({ pattern: '^([0-9a-f]{2}){1,64}$', description: 'CKA_ID in hexadecimal' })),
  },
  { ...strict, minProperties: 1 },
);

/** `[signer]` with `type = "pkcs11"`. */
export const Pkcs11Section = Type.Object(
  {
    type: Type.Literal('pkcs11'),
    module: Type.String({ minLength: 1, description: 'the module, an absolute path' }),
    token: Type.String({ minLength: 1, maxLength: 32, description: "the token's label" }),
    pin_file: Type.String({ minLength: 1, description: 'relative to the CA directory; one line' }),
    user_ca: Key,
    host_ca: Key,
    rsa_algorithm: Type.Optional(Type.Union([Type.Literal('rsa-sha2-256'), Type.Literal('rsa-sha2-512')])),
    max_waiting: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  },
  strict,
);
export type Pkcs11Settings = Static<typeof Pkcs11Section>;
