/**
 * One server per store. Writing as such needs no lock of ours: each transaction is BEGIN IMMEDIATE with a wait, so the
 * server and the commands of an administrator take turns. But a server also closes, at its start, the intents that the
 * last one left behind, and brings the schema up to date: with two servers each would do that to the other.
 *
 * The lock is a write transaction held open on a small SQLite file beside the store, so it is the operating system that
 * lets go of it when the process dies, however it dies. The file names the holder, for the error message.
 */
import { Connection } from './sqlite-connection.ts';
import { StoreError } from './errors.ts';
import { ensureFile } from './sqlite-file.ts';

/** @throws StoreError `store-locked`; the lock is released by dispose */
export function lockForServer(path: string): Disposable {
  const lockPath = `${path}-server`;
  ensureFile(lockPath, path);
  const connection = new Connection(lockPath, 'lock');
  try {
    connection.exec('CREATE TABLE IF NOT EXISTS holder (process INTEGER, since TEXT)');
    connection.exec(`DELETE FROM holder; INSERT INTO holder VALUES (${process.pid}, datetime('now')); BEGIN IMMEDIATE`);
    return connection;
  } catch (error) {
    const holder = error instanceof StoreError && error.code === 'store-busy' ? describeHolder(connection) : undefined;
    connection.close();
    throw holder === undefined ? error : new StoreError('store-locked', `${holder} has ${path} open.`);
  }
}

function describeHolder(connection: Connection): string {
  const sql = 'SELECT process, since FROM holder';
  const holder = connection.get<{ process: bigint; since: string }>(sql);
  return holder === undefined
    ? 'Another server'
    : `Another server (process ${holder.process}, since ${holder.since} UTC)`;
}
