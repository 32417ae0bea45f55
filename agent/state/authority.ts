/**
 * The CA that this machine or user trusts, as `countersign bootstrap` pinned it: `authority.json` in the state directory.
 * Public data, but whoever may write it decides who is trusted.
 */
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type PublicKey, encodePublicKey, formatPublicKeyLine, parsePublicKeyLine } from '#openssh/public-key.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';
import { StateError } from './state-error.ts';

const KeyLines = Type.Array(Type.String({ maxLength: 16 * 1024 }), { maxItems: 64 });

export const AuthorityFile = Type.Object({
  version: Type.Literal(1),
  url: Type.String({ pattern: '^https://', maxLength: 1024 }),
  rootFingerprint: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  rootCertificate: Type.String({ maxLength: 64 * 1024 }),
  hostCaKeys: KeyLines,
  userCaKeys: KeyLines,
  pinnedAt: Type.String({ maxLength: 64 }),
  /** Absent before the first document was taken over. */
  trustNumber: Type.Optional(Type.Integer({ minimum: 1 })),
});
type AuthorityFile = Static<typeof AuthorityFile>;

export interface Authority {
  /** Origin of the CA: `https://host:port`, no path. */
  readonly url: string;
  /** Lower-case hex of SHA-256 over the root certificate. */
  readonly rootFingerprint: string;
  /** PEM, one certificate. */
  readonly rootCertificate: string;
  readonly hostCaKeys: readonly PublicKey[];
  readonly userCaKeys: readonly PublicKey[];
  /** ISO 8601. */
  readonly pinnedAt: string;
  /** Of the trust document that the keys are from (protocol/trust.ts); undefined while they are from the first contact. */
  readonly trustNumber?: number | undefined;
}

export function authorityPath(stateDirectory: string): string {
  return join(stateDirectory, 'authority.json');
}

/** @returns undefined before the first `bootstrap` @throws StateError */
export async function readAuthority(stateDirectory: string): Promise<Authority | undefined> {
  const path = authorityPath(stateDirectory);
  const file = await readJsonFile(path, AuthorityFile);
  if (file === undefined) return undefined;
  try {
    return { ...file, hostCaKeys: parseKeys(file.hostCaKeys), userCaKeys: parseKeys(file.userCaKeys) };
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new StateError('state-damaged', `${path} holds a key that is none: ${cause.message}`, {
      cause,
      advice: 'Move the file away and run `countersign bootstrap` again.',
    });
  }
}

/** @throws StateError `not-bootstrapped` and those of `readAuthority` */
export async function requireAuthority(stateDirectory: string): Promise<Authority> {
  const authority = await readAuthority(stateDirectory);
  if (authority !== undefined) return authority;
  throw new StateError('not-bootstrapped', 'no CA is trusted on this machine yet', {
    advice:
      'Run: countersign bootstrap --ca https://CA --fingerprint HEX\nThe CA printed this line when it was made (countersign-ca init).',
  });
}

/** @throws StateError `state-unusable` */
export async function writeAuthority(stateDirectory: string, authority: Authority): Promise<void> {
  const { url, rootFingerprint, rootCertificate, pinnedAt, trustNumber } = authority;
  const [hostCaKeys, userCaKeys] = [formatKeys(authority.hostCaKeys), formatKeys(authority.userCaKeys)];
  const file: AuthorityFile = { version: 1, url, rootFingerprint, rootCertificate, hostCaKeys, userCaKeys, pinnedAt };
  const numbered = trustNumber === undefined ? file : { ...file, trustNumber };
  await writeJsonFile(authorityPath(stateDirectory), AuthorityFile, numbered);
}

export function fingerprintsOf(keys: readonly PublicKey[]): Set<Fingerprint> {
  return new Set(keys.map((key) => fingerprintOf(encodePublicKey(key))));
}

function formatKeys(keys: readonly PublicKey[]): string[] {
  return keys.map((key) => formatPublicKeyLine(key));
}

function parseKeys(lines: readonly string[]): PublicKey[] {
  return lines.map((line) => parsePublicKeyLine(line).key);
}
