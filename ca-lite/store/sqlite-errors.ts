/**
 * SQLite's result codes (https://www.sqlite.org/rescode.html) as faults of the store. Decided by number, never by text.
 * A violated constraint is no fault of the engine and is left alone: the operations check before they write, so it is a
 * defect of one request.
 */
import { type StoreErrorCode, StoreError } from './errors.ts';

/** Primary result codes, the low byte. */
const faults: Readonly<Record<number, readonly [StoreErrorCode, string]>> = {
  3: ['store-read-only', 'The store may not be written.'], // SQLITE_PERM
  5: ['store-busy', 'The store is locked by another process.'], // SQLITE_BUSY
  6: ['store-busy', 'The store is locked.'], // SQLITE_LOCKED
  7: ['store-failed', 'The store ran out of memory.'], // SQLITE_NOMEM
  8: ['store-read-only', 'The store may not be written.'], // SQLITE_READONLY
  10: ['store-io', 'Reading or writing the store failed.'], // SQLITE_IOERR
  11: ['store-corrupt', 'The store is damaged.'], // SQLITE_CORRUPT
  13: ['store-full', 'The disk of the store is full.'], // SQLITE_FULL
  14: ['store-io', 'The store could not be opened.'], // SQLITE_CANTOPEN
  22: ['store-io', 'The store grew larger than its file system allows.'], // SQLITE_NOLFS
  26: ['store-corrupt', 'The file is no database: it is damaged, or another file.'], // SQLITE_NOTADB
};

/** IOERR whose usual cause is a full disk: no room for the shared-memory file (SHMSIZE, SHMOPEN). */
const sharedMemoryErrors = new Set([4874, 4618]);
const IOERR = 10;
/** CANTOPEN and IOERR while this little is free mean a full disk: the driver reports what it was doing, not why it failed. */
const NEARLY_FULL_BYTES = 64 * 1024;

/** What node:sqlite throws for an error of the engine. */
interface SqliteError extends Error {
  readonly errcode: number;
}

/**
 * The fault for what node:sqlite threw; undefined for a violated constraint and for what is no error of the engine.
 *
 * @param freeBytes tells how many bytes are free beside the store; asked only when that decides
 */
export function faultOf(error: unknown, freeBytes: () => number): StoreError | undefined {
  if (!isSqliteError(error)) return undefined;
  const primary = error.errcode & 0xff;
  const [code, what] = faults[primary] ?? [];
  if (code === undefined || what === undefined) return undefined;
  if (primary === IOERR && (sharedMemoryErrors.has(error.errcode) || freeBytes() < NEARLY_FULL_BYTES)) {
    return new StoreError('store-full', 'The disk of the store is full.', { cause: error });
  }
  return new StoreError(code, `${what} (SQLite ${error.errcode})`, { cause: error });
}

function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number';
}
