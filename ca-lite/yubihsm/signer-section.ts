/** The shape of the `[signer]` section of ca.toml for a YubiHSM. Paths are relative to the CA directory; passwords are in files that hold one line each. Pure. */
import { type Static, Type } from 'typebox';

const strict = { additionalProperties: false } as const;
const ObjectId = Type.Integer({ minimum: 1, maximum: 0xfffe });
const Path = Type.String({ minLength: 1 });
const CaKey = Type.Object({ key: ObjectId, template: Type.Optional(ObjectId) }, strict);

/** `[signer]` with `type = "yubihsm"`. */
export const YubiHsmSection = Type.Object(
  {
    type: Type.Literal('yubihsm'),
    connectors: Type.Array(Path, {
      minItems: 1,
      maxItems: 8,
      description: 'URLs of the connectors, one for each device; all devices hold the same keys',
    }),
    auth_key: Type.Optional(ObjectId),
    password_file: Path,
    auditor_key: Type.Optional(ObjectId),
    auditor_password_file: Type.Optional(Path),
    user_ca: CaKey,
    host_ca: CaKey,
    rsa_algorithm: Type.Optional(Type.Union([Type.Literal('rsa-sha2-256'), Type.Literal('rsa-sha2-512')])),
    timestamp_key_file: Type.Optional(Path),
    timestamp_connectors: Type.Optional(Type.Array(Path, { minItems: 1, maxItems: 8 })),
    timestamp_auth_key: Type.Optional(ObjectId),
    timestamp_password_file: Type.Optional(Path),
    timestamp_key: Type.Optional(ObjectId),
    max_waiting: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  },
  strict,
);
export type YubiHsmSettings = Static<typeof YubiHsmSection>;
