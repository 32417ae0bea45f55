/**
 * `countersign-ca restore`: a CA directory out of a backup, all of it or nothing, never over one that is there. Every file is compared with
 * what `backup.json` says of it, and the audit log of the store is walked to the head that was noted there.
 */
import { createHash, randomBytes } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { type ParsedTarEntry, createTarDecoder } from 'modern-tar';
import { verifyStoredAudit } from '../audit/verify-store.ts';
import { CommandError } from '../command-error.ts';
import { caLayout } from '../directory/layout.ts';
import { openConfig, storePath } from '../directory/open-config.ts';
import { isSystemError, reasonOf } from '../files/system-error.ts';
import { syncDirectory } from '../files/write-new.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import {
  type BackupFile,
  type Manifest,
  MANIFEST_NAME,
  MAX_MANIFEST_BYTES,
  STORE_NAME,
  parseManifest,
} from './manifest.ts';

export interface RestoreOrder {
  /** The backup. */
  readonly file: string;
  /** The CA directory to make. */
  readonly target: string;
  readonly now: bigint;
  readonly actor: string;
}

export interface RestoredCa {
  readonly directory: string;
  readonly manifest: Manifest;
}

/** @throws CommandError, StoreError; then nothing has been left behind */
export async function restoreBackup(order: RestoreOrder): Promise<RestoredCa> {
  const target = resolve(order.target);
  await refuseOccupied(target);
  const building = `${target}.${randomBytes(6).toString('hex')}.restore`;
  try {
    await mkdir(building, { recursive: true, mode: 0o700 });
    const manifest = await unpack(order.file, building);
    await settleStore(building, target, manifest, order);
    await rename(building, target); // an empty directory in its place is replaced, a full one is not
    await syncDirectory(dirname(target));
    return { directory: target, manifest };
  } catch (cause) {
    if (!isSystemError(cause)) throw cause;
    throw new CommandError(`${target} cannot be made: ${cause.message}. Nothing was left behind.`, { cause });
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

async function refuseOccupied(target: string): Promise<void> {
  const entries = await readdir(target).catch((error: unknown) => {
    if (isSystemError(error) && error.code === 'ENOENT') return [];
    throw new CommandError(`${target} cannot be used as a CA directory: ${reasonOf(error)}.`, { cause: error });
  });
  if (entries.length > 0)
    throw new CommandError(`${target} is not empty, and restore never overwrites. Name another directory.`);
}

async function unpack(file: string, building: string): Promise<Manifest> {
  let manifest: Manifest | undefined;
  const open = new Map<string, BackupFile>();
  for await (const entry of entriesOf(file)) {
    if (manifest === undefined) {
      manifest = await readManifest(entry, file);
      for (const one of manifest.files) open.set(one.path, one);
      continue;
    }
    const expected = open.get(entry.header.name);
    if (expected === undefined || entry.header.type !== 'file' || entry.header.size !== expected.size)
      throw damaged(file, 'it holds a file that its list does not have');
    open.delete(expected.path);
    await writeEntry(entry, expected, building, file);
  }
  if (manifest === undefined) throw damaged(file, 'it is empty');
  const [missing] = open.keys();
  if (missing !== undefined) throw damaged(file, `${missing} is missing: it was cut off`);
  return manifest;
}

async function* entriesOf(file: string): AsyncGenerator<ParsedTarEntry> {
  const bytes = Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>;
  try {
    yield* bytes.pipeThrough(createTarDecoder({ strict: true }));
  } catch (cause) {
    if (cause instanceof CommandError) throw cause;
    if (isSystemError(cause)) throw new CommandError(`${file} cannot be read: ${cause.message}.`, { cause });
    throw new CommandError(damaged(file, 'it is no whole tar archive').message, { cause });
  }
}

async function readManifest({ header, body }: ParsedTarEntry, file: string): Promise<Manifest> {
  if (header.name !== MANIFEST_NAME || header.size > MAX_MANIFEST_BYTES)
    throw new CommandError(`${file} was not made by countersign-ca backup.`);
  const manifest = parseManifest(await new Response(body).text());
  if (manifest === undefined) throw damaged(file, `its ${MANIFEST_NAME} is none that this version knows`);
  return manifest;
}

async function writeEntry(
  { body }: ParsedTarEntry,
  expected: BackupFile,
  building: string,
  file: string,
): Promise<void> {
  const path = join(building, expected.path);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const hash = createHash('sha256');
  await using written = await open(path, 'wx', 0o600);
  for await (const chunk of body) {
    hash.update(chunk);
    await written.writeFile(chunk); // goes on where the last one ended
  }
  if (hash.digest('hex') !== expected.sha256) throw damaged(file, `${expected.path} is not what was backed up`);
  await written.chmod(expected.mode);
  await written.sync();
}

/** Looks whether the store is whole, records the restoration in it, and puts it where ca.toml says. */
async function settleStore(
  building: string,
  target: string,
  { audit, madeAt }: Manifest,
  { now, actor }: RestoreOrder,
): Promise<void> {
  const copy = join(building, STORE_NAME);
  {
    await using store = await openSqliteStore({ path: copy, role: 'administrator' });
    const report = await verifyStoredAudit(store, { expect: Buffer.from(audit.head, 'hex') });
    if (!report.ok) throw new CommandError('The audit log in the backup is damaged. Use an older backup.');
    await store.appendAudit([
      { time: now, action: 'ca-restore', outcome: 'allowed', code: 'ok', subject: { actor }, details: { madeAt } },
    ]);
  }
  await rm(`${copy}-server`, { force: true });
  const layout = caLayout(building);
  const wanted = storePath(caLayout(target), await openConfig(layout));
  const below = relative(target, wanted);
  if (below.startsWith('..') || isAbsolute(below)) return placeOutside(copy, wanted);
  await mkdir(dirname(join(building, below)), { recursive: true, mode: 0o700 });
  await rename(copy, join(building, below));
}

/** ca.toml names a place of its own for the store. */
async function placeOutside(copy: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await copyFile(copy, path, constants.COPYFILE_EXCL).catch((cause: unknown) => {
    if (isSystemError(cause) && cause.code === 'EEXIST')
      throw new CommandError(`${path} exists, and restore never overwrites. Move it away first.`, { cause });
    throw cause;
  });
  await using file = await open(path, 'r+');
  await file.sync();
  await syncDirectory(dirname(path));
  await rm(copy);
}

function damaged(file: string, why: string): CommandError {
  return new CommandError(`${file} cannot be restored: ${why}. Use another backup.`);
}
