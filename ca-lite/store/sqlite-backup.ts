/**
 * A consistent copy while others write: VACUUM INTO, from one read transaction of a connection of its own. It reads every
 * row, so it fails on a damaged store instead of copying the damage, and the copy holds no free pages.
 * While it runs, the log cannot be folded into the store, and grows by what is written meanwhile.
 *
 * SQLite does not flush what VACUUM INTO writes, so the copy is made under another name, flushed, and only then named.
 */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { StoreError } from './errors.ts';
import { ensureFile, fileFault, syncDirectory } from './sqlite-file.ts';
import { openReader } from './sqlite-open.ts';

/** @throws StoreError `backup-exists`, `store-full`, `store-read-only`, `store-corrupt`, ... */
export function copyStore(source: string, target: string): void {
  const partial = `${target}.partial`;
  for (const path of [target, partial]) {
    if (existsSync(path)) throw new StoreError('backup-exists', `There is a file ${path} already.`);
  }
  using stack = new DisposableStack();
  ensureFile(partial);
  stack.defer(() => rmSync(partial, { force: true }));
  const connection = stack.use(openReader(source));
  connection.exec('PRAGMA query_only = OFF');
  connection.run('VACUUM INTO ?', partial);
  nameCopy(partial, target);
}

function nameCopy(partial: string, target: string): void {
  try {
    const descriptor = openSync(partial, 'r+');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(partial, target);
    syncDirectory(target);
  } catch (error) {
    throw fileFault(error, target);
  }
}
