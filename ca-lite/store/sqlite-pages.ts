/**
 * Pages of rows, newest first, that cost the same at any size of the store: an index (the *driver*) gives row numbers in
 * order from the cursor on, and only a bounded number of them is held against the rest of the filter.
 */
import type { SQLInputValue } from 'node:sqlite';
import type { PageRequest } from './records.ts';
import { MAX_PAGE_LENGTH } from './records.ts';
import type { Connection } from './sqlite-connection.ts';
import { decodeCursor, encodeCursor } from './sqlite-values.ts';

/** An SQL condition and its values. */
export interface Condition {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

export interface Listing {
  /** The table and its INTEGER PRIMARY KEY. */
  readonly table: string;
  readonly key: string;
  /** Where the driver finds row numbers, by default in the table itself. */
  readonly index?: { readonly table: string; readonly key: string };
  /** The part of the filter that the driver's index answers; null for all rows. */
  readonly driver: Condition | null;
  /** The rest of the filter. */
  readonly rest: readonly Condition[];
  readonly order: 'newest-first' | 'oldest-first';
}

export interface RowPage<Row> {
  readonly rows: readonly Row[];
  readonly next: string | null;
}

/** Rows that one page may hold against the rest of its filter: a few milliseconds. */
const MAX_SCAN = 2000;
const LAST_ROW = 2n ** 63n - 1n;

/** @throws TypeError for a page that was not asked for rightly; StoreError */
export function readPage<Row>(connection: Connection, listing: Listing, page: PageRequest): RowPage<Row> {
  const limit = checkLimit(page);
  const scan = listing.rest.length === 0 ? limit : MAX_SCAN;
  const driver = driverOf(listing, page, scan);
  const { table, key } = listing;
  const rest = listing.rest.map(({ sql }) => ` AND ${sql}`).join('');
  const rows = connection.all<Row & Record<'row_number', bigint>>(
    `SELECT t.*, t.${key} AS row_number FROM (${driver.sql}) AS d CROSS JOIN ${table} AS t ON t.${key} = d.row_number
     WHERE true${rest} ORDER BY d.row_number ${direction(listing)} LIMIT ?`,
    ...driver.values,
    ...listing.rest.flatMap(({ values }) => values),
    BigInt(limit),
  );
  const last = rows.length === limit ? rows.at(-1)?.row_number : lastScanned(connection, driver, scan);
  return { rows, next: last === undefined ? null : encodeCursor(last) };
}

function driverOf({ table, key, index, driver, order }: Listing, { cursor }: PageRequest, scan: number): Condition {
  const from = index ?? { table, key };
  const newest = order === 'newest-first';
  const start = cursor === undefined ? (newest ? LAST_ROW : 0n) : decodeCursor(cursor);
  const where = driver === null ? '' : `${driver.sql} AND `;
  return {
    sql: `SELECT ${from.key} AS row_number FROM ${from.table} WHERE ${where}${from.key} ${newest ? '<' : '>'} ?
          ORDER BY ${from.key} ${direction({ order })} LIMIT ?`,
    values: [...(driver?.values ?? []), start, BigInt(scan)],
  };
}

/** The row at which a scan was cut off; undefined when it reached the end. */
function lastScanned(connection: Connection, { sql, values }: Condition, scan: number): bigint | undefined {
  const last = `SELECT row_number FROM (${sql}) LIMIT 1 OFFSET ?`;
  return connection.get<{ row_number: bigint }>(last, ...values, BigInt(scan - 1))?.row_number;
}

function direction({ order }: Pick<Listing, 'order'>): string {
  return order === 'newest-first' ? 'DESC' : 'ASC';
}

function checkLimit({ limit }: PageRequest): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE_LENGTH) {
    throw new TypeError(`the limit of a page is 1 to ${MAX_PAGE_LENGTH}`);
  }
  return limit;
}
