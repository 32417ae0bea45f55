/** A home for an SQLite store: a directory of its own, gone with the home. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSqliteReader, openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import type { StoreHome } from '../contract/store.ts';

export interface SqliteHome extends StoreHome {
  readonly directory: string;
  readonly path: string;
}

export async function makeSqliteHome(): Promise<SqliteHome> {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-store-'));
  const path = join(directory, 'store.sqlite');
  return {
    directory,
    path,
    open: ({ queueLimit, beside = false } = {}) =>
      openSqliteStore({
        path,
        role: beside ? 'administrator' : 'server',
        create: true,
        ...(queueLimit === undefined ? {} : { queueLimit }),
      }),
    openReader: () => openSqliteReader(path),
    openCopy: openSqliteReader,
    newPath: (name) => join(directory, name),
    tamper: async (sql) => change(path, `DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete; ${sql}`),
    failOn: async (keyId) =>
      change(
        path,
        `CREATE TRIGGER fail BEFORE INSERT ON certificate_names WHEN NEW.name = '${keyId}'
         BEGIN SELECT RAISE(ABORT, 'cursed'); END`,
      ),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Changes the file from a connection that knows nothing of the store. */
export function change(path: string, sql: string): void {
  using database = new DatabaseSync(path, { timeout: 5000 });
  database.exec(sql);
}

/** SQLite's own judgement of the file: `ok`. */
export function integrityOf(path: string): unknown {
  using database = new DatabaseSync(path, { readOnly: true });
  return database.prepare('PRAGMA integrity_check').get()?.['integrity_check'];
}

/** The numbers of the pages that hold a table, counted from 1. */
export function pagesOf(path: string, table: string): number[] {
  using database = new DatabaseSync(path, { readOnly: true });
  return database
    .prepare('SELECT pageno FROM dbstat WHERE name = ?')
    .all(table)
    .map(({ pageno }) => Number(pageno));
}
