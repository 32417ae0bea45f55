/**
 * Group commit: the requests of many callers in one transaction, so that they share one flush of the disk, and none is
 * hurt by another's failure. A fault of the engine (full disk, I/O) fails the whole group: it says nothing about one
 * request.
 *
 * Each request in a savepoint of its own would do, but savepoints copy every page that is written, a fifth of the whole
 * cost, to be ready for what never happens: requests are decided before they write, so only a defect fails one halfway.
 * So a group is tried without. When a request fails, the transaction is rolled back and the group done again, now with
 * savepoints; nothing but the database knows of the first try.
 */
import { StoreError, type StoreFault } from './errors.ts';
import type { Connection } from './sqlite-connection.ts';
import { type Operation, perform } from './sqlite-operations.ts';
import { checkVersion } from './sqlite-schema.ts';
import { Transaction } from './sqlite-transaction.ts';

/** What became of one request. */
export type Reply = { readonly value: unknown } | { readonly fault: StoreFault };

type Perform = (transaction: Transaction, operation: Operation) => Reply;

/**
 * @returns one reply for each operation, in order, all of it durable
 * @throws StoreError when the transaction as a whole failed, and nothing of it is to be relied on
 */
export function commitGroup(connection: Connection, group: readonly Operation[]): Reply[] {
  try {
    return commit(connection, group, performTogether);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    return commit(connection, group, performAlone);
  }
}

function commit(connection: Connection, group: readonly Operation[], perform: Perform): Reply[] {
  connection.run('BEGIN IMMEDIATE');
  try {
    checkVersion(connection);
    const transaction = Transaction.begin(connection);
    const replies = group.map((operation) => perform(transaction, operation));
    transaction.finish();
    connection.run('COMMIT');
    return replies;
  } catch (error) {
    if (connection.inTransaction) connection.run('ROLLBACK');
    throw error;
  }
}

function performTogether(transaction: Transaction, operation: Operation): Reply {
  return { value: perform(transaction, operation) };
}

function performAlone(transaction: Transaction, operation: Operation): Reply {
  try {
    return { value: transaction.alone(() => perform(transaction, operation)) };
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const what = `The request ${operation.name} failed: ${error instanceof Error ? error.message : 'unknown'}.`;
    return { fault: new StoreError('store-defect', what).toFault() };
  }
}
