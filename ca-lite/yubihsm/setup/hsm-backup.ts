/**
 * The backup of a device's CA keys, one JSON file: each key encrypted by the device under the wrap key, the templates, and
 * the plan. Encode beside decode. Pure.
 *
 * It holds no secret in the clear and none that opens it: the wrap key is with its custodians.
 */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { FormatError } from '#openssh/format-error.ts';
import { HsmError } from '../errors.ts';
import { minWrapped } from '../commands/wrap.ts';
import type { HsmPlan } from './plan.ts';

const maxLength = 256 * 1024;
const strict = { additionalProperties: false } as const;
const Seconds = Type.Integer({ minimum: 0, maximum: 0xffff_fffe });
const RsaKinds = Type.Union([Type.Literal('rsa2048'), Type.Literal('rsa3072'), Type.Literal('rsa4096')]);
const KeyKinds = Type.Union([
  RsaKinds,
  Type.Literal('ecp256'),
  Type.Literal('ecp384'),
  Type.Literal('ecp521'),
  Type.Literal('ed25519'),
]);
const Plan = Type.Union([
  Type.Object({ way: Type.Literal('plain'), kind: KeyKinds }, strict),
  Type.Object(
    {
      way: Type.Literal('template'),
      kind: RsaKinds,
      notBeforeOffsetSeconds: Seconds,
      userNotAfterSeconds: Seconds,
      hostNotAfterSeconds: Seconds,
      forbiddenUserPrincipals: Type.Array(Type.String({ minLength: 1 })),
      timestampKey: Type.Union([Type.Literal('file'), Type.Literal('device')]),
    },
    strict,
  ),
]);
const KeyName = Type.Union([Type.Literal('userCa'), Type.Literal('hostCa'), Type.Literal('timestamp')]);
const TemplateName = Type.Union([Type.Literal('userTemplate'), Type.Literal('hostTemplate')]);

const File = Type.Object(
  {
    format: Type.Literal('countersign-hsm-backup-1'),
    madeAt: Type.String(),
    serial: Type.Integer({ minimum: 0 }),
    plan: Plan,
    keys: Type.Array(Type.Object({ name: KeyName, publicKey: Type.String(), wrapped: Type.String() }, strict), {
      minItems: 2,
      maxItems: 3,
    }),
    templates: Type.Array(Type.Object({ name: TemplateName, bytes: Type.String() }, strict), { maxItems: 2 }),
  },
  strict,
);

/** A backup. */
export interface HsmBackup {
  /** When it was made, ISO 8601. */
  madeAt: string;
  /** The serial number of the device that it comes from. */
  serial: number;
  plan: HsmPlan;
  keys: BackupKey[];
  templates: { name: 'userTemplate' | 'hostTemplate'; bytes: Uint8Array }[];
}

/** A key in a backup. */
export interface BackupKey {
  name: 'userCa' | 'hostCa' | 'timestamp';
  /** One line, as OpenSSH writes it. */
  publicKey: string;
  wrapped: Uint8Array;
}

/** The text of a backup file. */
export function formatHsmBackup(backup: HsmBackup): string {
  const file: Static<typeof File> = {
    format: 'countersign-hsm-backup-1',
    ...backup,
    keys: backup.keys.map((key) => ({ ...key, wrapped: encodeBase64(key.wrapped) })),
    templates: backup.templates.map((template) => ({ ...template, bytes: encodeBase64(template.bytes) })),
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** Reads the text of a backup file. Throws {@link HsmError} `bad-input`. */
export function parseHsmBackup(text: string): HsmBackup {
  if (text.length > maxLength) throw bad('it is longer than a backup can be');
  const file = parseJson(text);
  if (!Value.Check(File, file)) throw bad('it is not of the form of a backup, or a newer one than this program knows');
  const { madeAt, serial, plan } = file;
  const keys = file.keys.map((key) => ({ ...key, wrapped: decode(key.wrapped) }));
  if (keys.some(({ wrapped }) => wrapped.length < minWrapped)) throw bad('a key in it is cut short');
  const templates = file.templates.map((template) => ({ ...template, bytes: decode(template.bytes) }));
  return { madeAt, serial, plan, keys, templates };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw bad('it is not JSON', error);
  }
}

function decode(text: string): Uint8Array {
  try {
    return decodeBase64(text);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw bad('it holds what is not base64', error);
  }
}

function bad(why: string, cause?: unknown): HsmError {
  return new HsmError('bad-input', `the backup cannot be used: ${why}`, { cause });
}
