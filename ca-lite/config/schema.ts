/**
 * The shape of ca.toml. Unknown keys are faults: a misspelt rule must not silently mean "no rule".
 * Every key has its meaning here and nowhere else; `parse.ts` adds what a shape cannot say.
 */
import { Type, type Static } from 'typebox';
import { OidcSection } from '../oidc/oidc-config.ts';
import { Pkcs11Section } from '../pkcs11/signer-section.ts';
import { YubiHsmSection } from '../yubihsm/signer-section.ts';

const strict = { additionalProperties: false } as const;
const Texts = Type.Array(Type.String());
const Duration = Type.String({ description: 'a duration with units, such as 90s, 5m, 16h, 30d' });

const Store = Type.Object(
  {
    type: Type.Optional(Type.Literal('sqlite')),
    path: Type.Optional(Type.String({ minLength: 1, description: 'the database file, relative to the CA directory' })),
  },
  strict,
);

const FileSignerSection = Type.Object({ type: Type.Optional(Type.Literal('file')) }, strict);

/** Which shape `[signer]` has is told by its `type`: the faults of one shape, not those of all, are what a person needs. */
export const signerSections = { file: FileSignerSection, yubihsm: YubiHsmSection, pkcs11: Pkcs11Section } as const;

const Certificates = Type.Object(
  {
    host_lifetime: Type.Optional(Duration),
    host_max_lifetime: Type.Optional(Duration),
    user_lifetime: Type.Optional(Duration),
    user_max_lifetime: Type.Optional(Duration),
    backdate: Type.Optional(Duration),
    key_types: Type.Optional(Texts),
    min_rsa_bits: Type.Optional(Type.Integer({ minimum: 2048, maximum: 16_384 })),
    host_principals: Type.Optional(Texts),
    user_principals: Type.Optional(Texts),
  },
  strict,
);

const Enrolment = Type.Object(
  {
    names: Type.Optional(Texts),
    addresses: Type.Optional(Texts),
    ports: Type.Optional(Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }))),
    short_names: Type.Optional(
      Type.Boolean({ description: 'add the first label of each proven name to the principals' }),
    ),
    address_principals: Type.Optional(Type.Boolean({ description: 'add the proven addresses to the principals' })),
    challenge_lifetime: Type.Optional(Duration),
    token_lifetime: Type.Optional(Duration),
    own_addresses: Type.Optional(Texts),
    insecure_allow_loopback: Type.Optional(
      Type.Boolean({ description: 'development only: dial back to 127.0.0.0/8 and ::1 too' }),
    ),
  },
  strict,
);

const Renewal = Type.Object(
  {
    allow_after_expiry: Type.Optional(
      Type.Boolean({ description: 'renew expired host certificates without a grant; revoked ones never' }),
    ),
    max_age: Type.Optional(Duration),
    require_dial_back: Type.Optional(
      Type.Boolean({ description: 'after expiry only with the key proven over the network again' }),
    ),
    clone_grace: Type.Optional(Duration),
    heal_by_dial_back: Type.Optional(
      Type.Boolean({ description: 'end a quarantine when a dial-back can tell the host from its copy' }),
    ),
    users_for: Type.Optional(Duration),
    users_times: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
    require_rekey_proof: Type.Optional(Type.Boolean({ description: 'refuses `step ssh rekey`' })),
  },
  strict,
);

const DialBack = Type.Object(
  {
    timeout: Type.Optional(Duration),
    concurrent: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    concurrent_per_requester: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    concurrent_per_target: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  },
  strict,
);

const Dns = Type.Object(
  {
    servers: Type.Optional(
      Type.Array(Type.String(), { maxItems: 8, description: 'empty: the resolver of the system' }),
    ),
    timeout: Type.Optional(Duration),
  },
  strict,
);

const Log = Type.Object(
  {
    level: Type.Optional(
      Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')]),
    ),
  },
  strict,
);

export const ConfigText = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200, description: 'what people call this CA' }),
    dns_names: Type.Array(Type.String(), {
      minItems: 1,
      maxItems: 32,
      description: 'names and addresses that clients reach the CA by',
    }),
    address: Type.Optional(Type.String({ description: 'where to listen: HOST:PORT, [IPV6]:PORT or :PORT' })),
    store: Type.Optional(Store),
    signer: Type.Optional(
      Type.Object({ type: Type.Optional(Type.Enum(Object.keys(signerSections) as (keyof typeof signerSections)[])) }),
    ),
    certificates: Type.Optional(Certificates),
    enrolment: Type.Optional(Enrolment),
    renewal: Type.Optional(Renewal),
    oidc: Type.Optional(Type.Array(OidcSection, { maxItems: 32 })),
    dial_back: Type.Optional(DialBack),
    dns: Type.Optional(Dns),
    log: Type.Optional(Log),
  },
  strict,
);
export type ConfigText = Static<typeof ConfigText>;
