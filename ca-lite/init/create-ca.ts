/**
 * Makes a CA directory: all of it or nothing. Everything is written into a directory beside the wanted one, which then takes its place
 * in one step; what is there already is never overwritten.
 */
import { mkdir, readdir } from 'node:fs/promises';
import type { KeyObject } from 'node:crypto';
import { join, resolve } from 'node:path';
import { encodePublicKey, formatPublicKeyLine, publicKeyFromObject } from '#openssh/public-key.ts';
import { equalBytes } from '#openssh/wire.ts';
import { CommandError } from '../command-error.ts';
import { ConfigError, parseConfig } from '../config/parse.ts';
import { type TemplateValues, formatConfigTemplate } from '../config/template.ts';
import { type CaLayout, type SecretName, caLayout } from '../directory/layout.ts';
import { storePath } from '../directory/open-config.ts';
import { writeSecret } from '../directory/secrets.ts';
import { isSystemError, reasonOf } from '../files/system-error.ts';
import { writeNewFile } from '../files/write-new.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import { generateX509Key } from '../x509/certificate-authority.ts';
import { type Leftovers, makeBuildingPlace, removeLeftovers } from './building-place.ts';
import type { CaKeyType } from './ca-key-type.ts';
import { generateCaKey, importCaKey } from './ca-keys.ts';
import { makeX509Part } from './x509-part.ts';
import type { RootFiles } from './x509-root.ts';

export interface CaWishes extends TemplateValues {
  readonly directory: string;
  readonly passphrase: Uint8Array;
  readonly keyType: CaKeyType;
  /** Files of CA keys that exist already. */
  readonly hostKeyFile?: string;
  readonly userKeyFile?: string;
  readonly root: RootFiles | 'own' | 'request';
  readonly progress: (step: string) => void;
}

export interface CreatedCa extends MadeCa {
  readonly directory: string;
  /** Of earlier attempts that were killed. */
  readonly leftovers: Leftovers;
}

interface MadeCa {
  /** Null after a request, until the intermediate has been imported. */
  readonly rootFingerprint: string | null;
  readonly hostCa: string;
  readonly userCa: string;
}

/** @throws CommandError; then nothing has been left behind */
export async function createCa(wishes: CaWishes): Promise<CreatedCa> {
  const target = resolve(wishes.directory);
  await refuseOccupied(target);
  const configText = formatConfigTemplate(wishes);
  checkConfig(configText);
  const leftovers = await removeLeftovers(target);
  await using building = await makeBuildingPlace(target).catch((cause: unknown) => {
    throw new CommandError(
      `${target} cannot be made: ${reasonOf(cause)}. Name a directory in a place that this user may write to.`,
      { cause },
    );
  });
  try {
    const created = await fill(caLayout(building.path), configText, wishes);
    await building.finish();
    return { ...created, directory: target, leftovers };
  } catch (error) {
    if (isSystemError(error))
      throw new CommandError(`${target} cannot be made: ${error.message}. Nothing was left behind.`, { cause: error });
    throw error;
  }
}

async function fill(layout: CaLayout, configText: string, wishes: CaWishes): Promise<MadeCa> {
  const { passphrase, progress } = wishes;
  for (const path of [layout.certificates, layout.secrets, join(layout.directory, 'db')])
    await mkdir(path, { mode: 0o700 });
  progress(wishes.root === 'request' ? 'making the request for an intermediate' : 'making the X.509 certificates');
  const x509 = await makeX509Part(wishes, layout, new Date());
  progress('making the SSH CA keys');
  const ssh = await makeSshKeys(wishes);
  progress('encrypting the keys');
  const secrets: (readonly [SecretName, KeyObject])[] = [
    ...x509.secrets,
    ['ssh_host_ca', ssh.host],
    ['ssh_user_ca', ssh.user],
    ['token', await generateX509Key()],
  ];
  for (const [name, key] of secrets) await writeSecret(layout, name, key, passphrase);
  progress('writing certificates, configuration and store');
  for (const [path, text] of x509.files) await writeNewFile(path, `${text.trim()}\n`, 0o644);
  const lines = { hostCa: publicLine(ssh.host, wishes, 'host'), userCa: publicLine(ssh.user, wishes, 'user') };
  await writeNewFile(layout.hostCaPublicKey, `${lines.hostCa}\n`, 0o644);
  await writeNewFile(layout.userCaPublicKey, `${lines.userCa}\n`, 0o644);
  await writeNewFile(layout.config, configText, 0o600);
  await createStore(layout, configText, x509.rootFingerprint);
  return { rootFingerprint: x509.rootFingerprint, ...lines };
}

async function makeSshKeys({
  keyType,
  hostKeyFile,
  userKeyFile,
  passphrase,
}: CaWishes): Promise<{ host: KeyObject; user: KeyObject }> {
  const make = async (file: string | undefined): Promise<KeyObject> =>
    file === undefined ? generateCaKey(keyType) : importCaKey(file, passphrase);
  const [host, user] = [await make(hostKeyFile), await make(userKeyFile)];
  const [hostBlob, userBlob] = [host, user].map((key) => encodePublicKey(publicKeyFromObject(key)));
  if (hostBlob !== undefined && userBlob !== undefined && equalBytes(hostBlob, userBlob)) {
    throw new CommandError(
      'The host CA key and the user CA key are the same. Give two: a host must never be able to pass for a user.',
    );
  }
  return { host, user };
}

async function createStore(layout: CaLayout, configText: string, rootFingerprint: string | null): Promise<void> {
  await using store = await openSqliteStore({
    path: storePath(layout, parseConfig(configText)),
    role: 'administrator',
    create: true,
  });
  const time = BigInt(Math.floor(Date.now() / 1000));
  await store.appendAudit([
    { time, action: 'ca-init', outcome: 'allowed', code: 'ok', subject: {}, details: { rootFingerprint } },
  ]);
}

async function refuseOccupied(target: string): Promise<void> {
  const entries = await readdir(target).catch((error: unknown) => {
    if (isSystemError(error) && error.code === 'ENOENT') return [];
    throw new CommandError(`${target} cannot be used as a CA directory: ${reasonOf(error)}.`, { cause: error });
  });
  if (entries.length > 0)
    throw new CommandError(`${target} is not empty, and init never overwrites. Name another directory.`);
}

function checkConfig(text: string): void {
  try {
    parseConfig(text);
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    throw new CommandError(`These options do not make a configuration: ${cause.message.replaceAll('\n', '; ')}.`, {
      cause,
    });
  }
}

function publicLine(key: KeyObject, { name }: CaWishes, kind: string): string {
  return formatPublicKeyLine(publicKeyFromObject(key), `${name} ${kind} CA`);
}
