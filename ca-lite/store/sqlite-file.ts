/** The files of an SQLite store: made with mode 0600, and refused when other users may write them. */
import { chownSync, closeSync, fsyncSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from './errors.ts';

const OTHERS_MAY_WRITE = 0o022;

/** @throws StoreError `store-missing`, `store-foreign`, `store-exposed` */
export function checkFile(path: string): void {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file === undefined) throw new StoreError('store-missing', `There is no store at ${path}.`);
  if (!file.isFile()) throw new StoreError('store-foreign', `${path} is no regular file.`);
  if ((file.mode & OTHERS_MAY_WRITE) !== 0) {
    throw new StoreError('store-exposed', `Other users may write ${path} (mode ${(file.mode & 0o777).toString(8)}).`);
  }
}

/**
 * Makes an empty file unless there is one. A command run by root leaves it to the owner of `like`, as SQLite does with
 * the files that it makes beside a database, so that the server's own user can go on using it.
 *
 * @throws StoreError
 */
export function ensureFile(path: string, like: string = dirname(path)): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
    const { uid, gid } = statSync(like);
    if (process.getuid?.() === 0 && uid !== 0) chownSync(path, uid, gid);
    syncDirectory(path);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw fileFault(error, path);
  }
}

/** Makes the name of a new file durable. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(dirname(path), 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A fault of the file system as a fault of the store. */
export function fileFault(error: unknown, path: string): StoreError {
  const cause = errorCode(error);
  if (cause === 'ENOSPC' || cause === 'EDQUOT')
    return new StoreError('store-full', `No room for ${path}.`, { cause: error });
  if (cause === 'EACCES' || cause === 'EPERM' || cause === 'EROFS')
    return new StoreError('store-read-only', `${path} may not be written.`, { cause: error });
  return new StoreError('store-io', `${path} could not be written (${cause ?? 'unknown'}).`, { cause: error });
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
