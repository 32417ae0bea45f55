/**
 * One connection to an SQLite file: prepared statements by their text, integers as bigint, faults as StoreError.
 *
 * Settings. WAL, so that readers never wait for the writer. synchronous=FULL, so that a commit is on the disk when it
 * returns (fullfsync asks for the same of macOS). No memory-mapped reads: a fault of the disk would be a signal that
 * ends the process, instead of an error. trusted_schema=OFF and cell_size_check=ON: the file is not trusted either.
 */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { StoreError } from './errors.ts';
import { faultOf } from './sqlite-errors.ts';

/** `lock`: see `sqlite-lock.ts`. */
export type ConnectionRole = 'writer' | 'reader' | 'lock';

/** How long to wait for another process that is writing, or recovering the file after a crash. */
const BUSY_MILLISECONDS: Readonly<Record<ConnectionRole, number>> = { writer: 10_000, reader: 2_000, lock: 250 };

const settings: Readonly<Record<ConnectionRole, string>> = {
  // A checkpoint each 16 MiB of log: fewer pages written twice than with SQLite's 4 MiB, and still a pause of little.
  writer: `PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
           PRAGMA wal_autocheckpoint = 4096; PRAGMA journal_size_limit = 67108864;
           PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;
           PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;`,
  reader: `PRAGMA query_only = ON; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;
           PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;`,
  lock: '',
};

export class Connection implements Disposable {
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws StoreError; the file must exist */
  constructor(path: string, role: ConnectionRole) {
    this.path = path;
    const readOnly = role === 'reader';
    try {
      this.#database = new DatabaseSync(path, { readOnly, timeout: BUSY_MILLISECONDS[role], readBigInts: true });
    } catch (error) {
      throw this.#fault(error);
    }
    try {
      this.exec(settings[role]);
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** Runs statements without parameters. */
  exec(sql: string): void {
    try {
      this.#database.exec(sql);
    } catch (error) {
      throw this.#fault(error);
    }
  }

  /** Runs one statement; how many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): bigint {
    try {
      return this.#statement(sql).run(...values).changes as bigint;
    } catch (error) {
      throw this.#fault(error);
    }
  }

  /** Runs one INSERT; the rowid it made. */
  insert(sql: string, ...values: SQLInputValue[]): bigint {
    try {
      return this.#statement(sql).run(...values).lastInsertRowid as bigint;
    } catch (error) {
      throw this.#fault(error);
    }
  }

  /** The first row. `Row` is the caller's word for what the statement selects. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- what a statement selects is known to its caller
  get<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    try {
      return this.#statement(sql).get(...values) as Row | undefined;
    } catch (error) {
      throw this.#fault(error);
    }
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    try {
      return this.#statement(sql).all(...values) as Row[];
    } catch (error) {
      throw this.#fault(error);
    }
  }

  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }

  /** The last connection of all processes that closes also folds the log into the file. */
  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #fault(error: unknown): unknown {
    return faultOf(error, () => freeBytesBeside(this.path)) ?? error;
  }
}

/** Room on the file system of a file, for the user of this process; 0 when it cannot be asked. */
function freeBytesBeside(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize;
  } catch {
    return 0;
  }
}

/** The one value of a one-column row, e.g. of a PRAGMA. */
export function single(connection: Connection, sql: string): bigint | string | null {
  const row = connection.get<Record<string, bigint | string | null>>(sql);
  const value = row === undefined ? undefined : Object.values(row)[0];
  if (value === undefined) throw new StoreError('store-defect', 'A statement gave no value.');
  return value;
}
