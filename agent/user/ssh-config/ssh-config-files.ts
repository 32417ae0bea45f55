/**
 * The files behind `countersign ssh-config`: those of our own in a directory of our own, and one block in the user's `config`. Writing what is
 * there already writes nothing. A `config` that is a link, as managers of such files make, stays one. Does I/O.
 */
import { mkdir, readFile, realpath, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode, systemErrorReason } from '../../failure.ts';
import { writeDurably } from '../../state/durable-file.ts';
import { SshConfigError } from './ssh-config-error.ts';
import { formatUserConfig, parseUserConfig } from './ssh-config-text.ts';

export interface SshConfigPlaces {
  /** The user's. */
  readonly config: string;
  /** Ours. */
  readonly directory: string;
  readonly include: string;
  readonly knownHosts: string;
  readonly revokedKeys: string;
}

/** @param sshDirectory absolute, usually `~/.ssh` */
export function sshConfigPlaces(sshDirectory: string): SshConfigPlaces {
  const directory = join(sshDirectory, 'countersign');
  return {
    config: join(sshDirectory, 'config'),
    directory,
    include: join(directory, 'config'),
    knownHosts: join(directory, 'known_hosts'),
    revokedKeys: join(directory, 'revoked_keys'),
  };
}

export interface OwnFiles {
  readonly include: string;
  readonly knownHosts: string;
  /** A KRL; undefined when the include names none. ssh believes no host while the file that it is told of is missing. */
  readonly revokedKeys?: Uint8Array | undefined;
}

/** What is there of ours and of the user's. */
export interface PresentFiles {
  readonly config: string;
  readonly include: string | undefined;
  readonly knownHosts: Uint8Array | undefined;
  readonly revokedKeys: Uint8Array | undefined;
}

/** Texts as latin1. @throws SshConfigError */
export async function readPresent({
  config,
  include,
  knownHosts,
  revokedKeys,
}: SshConfigPlaces): Promise<PresentFiles> {
  return guarded(async () => ({
    config: (await readText(config)) ?? '',
    include: await readText(include),
    knownHosts: await readBytes(knownHosts),
    revokedKeys: await readBytes(revokedKeys),
  }));
}

/** The paths that changed. @throws SshConfigError */
export async function installSshConfig(places: SshConfigPlaces, files: OwnFiles): Promise<string[]> {
  return guarded(async () => {
    const config = await readText(places.config);
    const wanted = formatUserConfig(parseUserConfig(config), places.include); // refuses before anything is written
    await mkdir(places.directory, { recursive: true, mode: 0o700 });
    const { revokedKeys } = files;
    const changed = [
      revokedKeys === undefined ? [] : await replace(places.revokedKeys, Buffer.from(revokedKeys).toString('latin1')),
      await replace(places.knownHosts, files.knownHosts),
      await replace(places.include, files.include),
      await replace(places.config, wanted), // after the files that it leads to
      revokedKeys === undefined ? await removeFile(places.revokedKeys) : [], // last: nothing names it any more
    ];
    return changed.flat();
  });
}

/** The paths that changed or went. @throws SshConfigError */
export async function removeSshConfig(places: SshConfigPlaces): Promise<string[]> {
  return guarded(async () => {
    const config = await readText(places.config);
    const { rest, isOurs, hasBlock } = parseUserConfig(config);
    const gone = hasBlock && isOurs && rest === '';
    const changed = hasBlock ? (gone ? await removeFile(places.config) : await replace(places.config, rest)) : [];
    changed.push(...(await removeFile(places.include)), ...(await removeFile(places.knownHosts)));
    changed.push(...(await removeFile(places.revokedKeys)));
    await rmdir(places.directory).catch((error: unknown) => {
      if (!['ENOENT', 'ENOTEMPTY'].includes(systemErrorCode(error) ?? '')) throw error;
    });
    return changed;
  });
}

async function readText(path: string): Promise<string | undefined> {
  return (await readBytes(path))?.toString('latin1');
}

async function readBytes(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function replace(path: string, text: string): Promise<string[]> {
  if ((await readText(path)) === text) return [];
  const target = await realpath(path).catch(() => path);
  const found = await stat(target).catch(() => undefined);
  await writeDurably(target, Buffer.from(text, 'latin1'), (found?.mode ?? 0o600) & 0o777);
  return [path];
}

async function removeFile(path: string): Promise<string[]> {
  try {
    await rm(path);
    return [path];
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (systemErrorCode(cause) === undefined) throw cause;
    throw new SshConfigError('files-unusable', `the ssh configuration cannot be changed: ${systemErrorReason(cause)}`, {
      cause,
      advice: 'Check who owns ~/.ssh and what is in it, or name another directory with --ssh-dir.',
    });
  }
}
