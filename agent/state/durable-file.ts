/**
 * Files that survive a power cut: written beside their place, flushed, renamed, and the directory flushed, so that the old or the
 * new content is there and never a half.
 */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Replaces or makes `path` with `content`. The directory must exist. @throws system errors; the old file stands then */
export async function writeDurably(path: string, content: Uint8Array | string, mode: number): Promise<void> {
  const temporary = siblingPath(path, 'new');
  try {
    await writeFlushed(temporary, content, mode);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await flushDirectory(dirname(path));
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Makes the file `path`, which must not exist, with exactly `mode` whatever the umask, and flushes it. */
export async function writeFlushed(
  path: string,
  content: Uint8Array | string,
  mode: number,
  owner?: Owner,
): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(content);
  if (owner !== undefined && process.geteuid?.() === 0) await file.chown(owner.uid, owner.gid);
  await file.chmod(mode);
  await file.sync();
}

export async function flushDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}

/** A hidden name beside `path` that no `Include *.conf` matches. */
export function siblingPath(path: string, suffix: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.${suffix}`);
}
