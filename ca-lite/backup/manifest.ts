/**
 * What a backup of a CA says about itself: `backup.json`, the first file of the tar archive, with the size and SHA-256 of every other one.
 * Pure. Refused on purpose: names that leave the directory, hidden files, modes that open a file further than the CA would.
 */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

export const MANIFEST_NAME = 'backup.json';
/** The copy of the store, wherever the store itself lies. */
export const STORE_NAME = 'store.sqlite';
export const MAX_MANIFEST_BYTES = 1024 * 1024;
/** Everything in a CA directory but the store is small. */
export const MAX_FILE_BYTES = 16 * 1024 * 1024;

const strict = { additionalProperties: false } as const;
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

const BackupFile = Type.Object(
  {
    path: Type.String({ maxLength: 200 }),
    size: Type.Integer({ minimum: 0 }),
    sha256: Sha256,
    mode: Type.Union([Type.Literal(0o600), Type.Literal(0o644)]),
  },
  strict,
);
export type BackupFile = Static<typeof BackupFile>;

export const Manifest = Type.Object(
  {
    format: Type.Literal('countersign-ca-backup'),
    version: Type.Literal(1),
    /** Version of the program that made it. */
    madeBy: Type.String({ maxLength: 64 }),
    madeAt: Type.String({ pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$' }),
    name: Type.String({ maxLength: 200 }),
    /** Null for a CA that still waits for its intermediate. */
    rootFingerprint: Type.Union([Sha256, Type.Null()]),
    /** The head of the audit log in the copy of the store. */
    audit: Type.Object({ entries: Type.String({ pattern: '^[0-9]{1,20}$' }), head: Sha256 }, strict),
    files: Type.Array(BackupFile, { minItems: 1, maxItems: 1000 }),
  },
  strict,
);
export type Manifest = Static<typeof Manifest>;

/** Undefined for a text that no `backup` wrote. */
export function parseManifest(text: string): Manifest | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!Value.Check(Manifest, value)) return undefined;
    const paths = value.files.map(({ path }) => path);
    const plain = paths.every(isBackupPath) && new Set(paths).size === paths.length;
    return plain && paths.includes(STORE_NAME) && paths.includes('ca.toml') ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A relative path of at most four plain names: nothing hidden, no `..`, nothing that a shell or a terminal would misread. */
export function isBackupPath(path: string): boolean {
  return path.length <= 200 && /^\w[\w.-]*(\/\w[\w.-]*){0,3}$/.test(path);
}

/** A private file unless the owner lets others read it. */
export function backupMode(mode: number): BackupFile['mode'] {
  return (mode & 0o044) === 0 ? 0o600 : 0o644;
}
