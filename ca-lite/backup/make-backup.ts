/**
 * `countersign-ca backup`: the whole CA in one tar archive, while it may be serving. The store is copied from one read transaction; the
 * other files are read whole after it, so that whatever the store refers to is there. The file appears whole or not at all.
 *
 * Private keys go in as they lie there: encrypted under the passphrase of the CA.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { link, mkdtemp, open, readFile, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { packTar } from 'modern-tar/fs';
import { version } from '#protocol/version.ts';
import { CommandError } from '../command-error.ts';
import type { Config } from '../config/config.ts';
import type { CaLayout } from '../directory/layout.ts';
import { storePath } from '../directory/open-config.ts';
import { isSystemError } from '../files/system-error.ts';
import { syncDirectory } from '../files/write-new.ts';
import { openSqliteReader, openSqliteStore } from '../store/sqlite-store.ts';
import { x509Fingerprint } from '../x509/certificate-authority.ts';
import { type Manifest, MANIFEST_NAME, MAX_FILE_BYTES, STORE_NAME, backupMode, isBackupPath } from './manifest.ts';

export interface BackupOrder {
  readonly layout: CaLayout;
  readonly config: Config;
  /** The file to make. */
  readonly target: string;
  readonly now: bigint;
  /** Who asked, for the audit log. */
  readonly actor: string;
}

export interface MadeBackup {
  readonly file: string;
  readonly bytes: number;
  readonly manifest: Manifest;
  /** Files of the CA directory that are not in it, since no CA has files of such names. */
  readonly skipped: readonly string[];
}

interface SmallFile {
  readonly path: string;
  readonly mode: 0o600 | 0o644;
  readonly content: Uint8Array;
}

/** @throws CommandError, StoreError; then there is no file */
export async function makeBackup(order: BackupOrder): Promise<MadeBackup> {
  const target = resolve(order.target);
  await refuseExisting(target);
  const work = await mkdtemp(`${target}.`).catch((cause: unknown) => {
    throw new CommandError(`${target} cannot be made. Name a file in a directory that this user may write to.`, {
      cause,
    });
  });
  try {
    const store = join(work, STORE_NAME);
    const audit = await copyStore(order, store);
    const { files, skipped } = await readFiles(order);
    const manifest = await describe(order, audit, files, store);
    const archive = join(work, 'archive');
    await writeArchive(archive, manifest, files, store);
    const { size: bytes } = await stat(archive);
    await nameArchive(archive, target);
    return { file: target, bytes, manifest, skipped };
  } catch (cause) {
    if (!isSystemError(cause)) throw cause;
    throw new CommandError(`${target} cannot be made: ${cause.message}. Nothing was left behind.`, { cause });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function refuseExisting(target: string): Promise<void> {
  const found = await stat(target).catch(() => undefined);
  if (found !== undefined) throw new CommandError(`${target} exists, and backup never overwrites. Name another file.`);
}

/** The copy holds the entry about itself. */
async function copyStore({ layout, config, now, actor }: BackupOrder, target: string): Promise<Manifest['audit']> {
  await using store = await openSqliteStore({ path: storePath(layout, config), role: 'administrator' });
  await store.appendAudit([{ time: now, action: 'ca-backup', outcome: 'allowed', code: 'ok', subject: { actor } }]);
  await store.backup(target);
  await using copy = await openSqliteReader(target);
  const { count, hash } = await copy.auditHead();
  return { entries: String(count), head: Buffer.from(hash).toString('hex') };
}

async function readFiles({ layout, config }: BackupOrder): Promise<{ files: SmallFile[]; skipped: string[] }> {
  const store = resolve(storePath(layout, config));
  const files: SmallFile[] = [];
  const skipped: string[] = [];
  for (const path of await listFiles(layout.directory)) {
    const absolute = join(layout.directory, path);
    // The store, and what SQLite and the server's lock have beside it.
    if (resolve(absolute).startsWith(store)) continue;
    const { size, mode } = await stat(absolute);
    if (!isBackupPath(path)) skipped.push(path);
    else if (size > MAX_FILE_BYTES)
      throw new CommandError(`${absolute} is too large for a file of a CA. Move it out of the CA directory.`);
    else files.push({ path, mode: backupMode(mode), content: await readFile(absolute) });
  }
  return { files, skipped };
}

/** Regular files, also behind symbolic links, as paths below the directory, sorted. */
async function listFiles(directory: string, below = directory, depth = 0): Promise<string[]> {
  const paths: string[] = [];
  for (const name of (await readdir(below)).toSorted()) {
    const path = join(below, name);
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() === true) paths.push(relative(directory, path));
    if (found?.isDirectory() === true && depth < 3) paths.push(...(await listFiles(directory, path, depth + 1)));
  }
  return paths;
}

async function describe(
  { layout, config, now }: BackupOrder,
  audit: Manifest['audit'],
  files: readonly SmallFile[],
  store: string,
): Promise<Manifest> {
  const root = await readFile(layout.rootCertificate, 'utf8').catch(() => undefined);
  return {
    format: 'countersign-ca-backup',
    version: 1,
    madeBy: version,
    madeAt: `${new Date(Number(now) * 1000).toISOString().slice(0, 19)}Z`,
    name: config.name,
    rootFingerprint: root === undefined ? null : x509Fingerprint(root),
    audit,
    files: [
      ...files.map(({ path, mode, content }) => ({
        path,
        size: content.length,
        sha256: createHash('sha256').update(content).digest('hex'),
        mode,
      })),
      { path: STORE_NAME, size: (await stat(store)).size, sha256: await sha256OfFile(store), mode: 0o600 as const },
    ],
  };
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

async function writeArchive(
  path: string,
  manifest: Manifest,
  files: readonly SmallFile[],
  store: string,
): Promise<void> {
  const mtime = new Date(manifest.madeAt);
  const json = `${JSON.stringify(manifest, null, 2)}\n`;
  const archive = packTar([
    { type: 'content', target: MANIFEST_NAME, content: json, mode: 0o600, mtime },
    ...files.map(({ path: target, mode, content }) => ({ type: 'content' as const, target, content, mode, mtime })),
    { type: 'file', target: STORE_NAME, source: store, mode: 0o600, mtime },
  ]);
  await pipeline(archive, createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true }));
}

/** A hard link appears whole, and never over a file that came meanwhile. */
async function nameArchive(archive: string, target: string): Promise<void> {
  await using file = await open(archive, 'r');
  await file.sync();
  await link(archive, target).catch((cause: unknown) => {
    if (isSystemError(cause) && cause.code === 'EEXIST')
      throw new CommandError(`${basename(target)} was made by somebody else meanwhile. Name another file.`, { cause });
    throw cause;
  });
  await syncDirectory(dirname(target));
}
