/**
 * Opening a store's file. Who may do what:
 *
 *   server         reads and writes, one per store (`sqlite-lock.ts`), and brings an older schema up to date
 *   administrator  reads and writes beside a running server: a command such as `token` or `hosts clear`
 *   reader         reads only: `certs`, `show`, `audit`
 *
 * A missing file is an error unless the caller is making a store: a server that started with an empty one because a disk
 * was not mounted would have forgotten every token spent and every host bound.
 */
import { StoreError } from './errors.ts';
import { Connection } from './sqlite-connection.ts';
import { checkFile, ensureFile } from './sqlite-file.ts';
import { lockForServer } from './sqlite-lock.ts';
import { ensureWal, migrate, schemaVersion, stepsBehind } from './sqlite-schema.ts';

export type WriterRole = 'server' | 'administrator';

export interface WriterOptions {
  readonly path: string;
  readonly role: WriterRole;
  /** Make the store if there is none, as `init` does. */
  readonly create: boolean;
}

/** @throws StoreError; dispose closes the connection and lets the lock go */
export function openWriter({ path, role, create }: WriterOptions): OpenWriter {
  if (create) ensureFile(path);
  checkFile(path);
  using stack = new DisposableStack();
  if (role === 'server') stack.use(lockForServer(path));
  const connection = stack.use(new Connection(path, 'writer'));
  const behind = stepsBehind(connection);
  if (behind === schemaVersion && !create) throw emptyStore(path);
  ensureWal(connection);
  if (behind > 0n) bringUpToDate(connection, role);
  return new OpenWriter(connection, stack.move());
}

export class OpenWriter implements Disposable {
  readonly connection: Connection;
  readonly #stack: DisposableStack;

  constructor(connection: Connection, stack: DisposableStack) {
    this.connection = connection;
    this.#stack = stack;
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

/** @throws StoreError */
export function openReader(path: string): Connection {
  checkFile(path);
  const connection = new Connection(path, 'reader');
  try {
    const behind = stepsBehind(connection);
    if (behind === schemaVersion) throw emptyStore(path);
    if (behind > 0n) throw olderStore(path);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** An administrator's command may do it too, but not under a server, which would be of an older version. */
function bringUpToDate(connection: Connection, role: WriterRole): void {
  if (role === 'server') return migrate(connection);
  try {
    using _lock = lockForServer(connection.path);
    migrate(connection);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'store-locked') throw olderStore(connection.path);
    throw error;
  }
}

function emptyStore(path: string): StoreError {
  return new StoreError('store-foreign', `${path} is empty.`);
}

function olderStore(path: string): StoreError {
  return new StoreError('store-older', `${path} was written by an older version.`);
}
