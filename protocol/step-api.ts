/**
 * The part of the CA's API that is shaped as step-ca shapes it, so that the public `step` CLI works unmodified.
 * Go clients send unset members as "" or null; unknown members are ignored.
 */
import { Type, type Static } from 'typebox';
import { IdentityProof } from './identity-binding.ts';
import { Base64 } from './wire-text.ts';

const Nullable = <T extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Array>>(schema: T) =>
  Type.Union([schema, Type.Null()]);

/** RFC 3339, or a Go duration relative to the CA's clock, or "" for unset. */
const TimeOrDuration = Type.String({ maxLength: 64 });

export const SshSignRequest = Type.Object({
  publicKey: Type.Unsafe<string>({ ...Base64, description: 'the public key blob' }),
  ott: Type.String({ maxLength: 32 * 1024, description: 'the one-time token' }),
  certType: Type.Optional(Type.String({ maxLength: 16, description: '"user", "host" or ""' })),
  keyID: Type.Optional(Type.String({ maxLength: 1024 })),
  principals: Type.Optional(Nullable(Type.Array(Type.String({ maxLength: 1024 }), { maxItems: 256 }))),
  validAfter: Type.Optional(TimeOrDuration),
  validBefore: Type.Optional(TimeOrDuration),
  /** Ours: beside an ID token, the proof by the key that the token was made for. */
  identityProof: Type.Optional(IdentityProof),
});
export type SshSignRequest = Static<typeof SshSignRequest>;

export const SshSignReply = Type.Object({
  crt: Type.Unsafe<string>({ ...Base64, description: 'the certificate blob' }),
});
export type SshSignReply = Static<typeof SshSignReply>;

/** Singular names, arrays, absent when empty. */
export const SshRootsReply = Type.Object({
  userKey: Type.Optional(Type.Array(Base64)),
  hostKey: Type.Optional(Type.Array(Base64)),
});
export type SshRootsReply = Static<typeof SshRootsReply>;

export const SshConfigRequest = Type.Object({
  type: Type.Optional(Type.String({ maxLength: 16, description: '"user", "host" or ""' })),
  data: Type.Optional(Type.Union([Type.Record(Type.String(), Type.String({ maxLength: 4096 })), Type.Null()])),
});
export type SshConfigRequest = Static<typeof SshConfigRequest>;

const ConfigTemplate = Type.Object({
  name: Type.String(),
  type: Type.Union([
    Type.Literal('file'),
    Type.Literal('snippet'),
    Type.Literal('prepend-line'),
    Type.Literal('directory'),
  ]),
  path: Type.String(),
  comment: Type.String(),
  content: Base64,
});
export type ConfigTemplate = Static<typeof ConfigTemplate>;

export const SshConfigReply = Type.Object({
  userTemplates: Type.Optional(Type.Array(ConfigTemplate)),
  hostTemplates: Type.Optional(Type.Array(ConfigTemplate)),
});
export type SshConfigReply = Static<typeof SshConfigReply>;

export const HealthReply = Type.Object({ status: Type.Literal('ok') });
export const VersionReply = Type.Object({ version: Type.String() });
export const RootReply = Type.Object({ ca: Type.String({ description: 'PEM' }) });
export const RootsReply = Type.Object({ crts: Type.Array(Type.String({ description: 'PEM' })) });
export const ProvisionersReply = Type.Object({
  provisioners: Type.Array(Type.Object({ type: Type.String(), name: Type.String() }, { additionalProperties: true })),
  nextCursor: Type.String(),
});
