/** Printing lists: a table for people, JSON for programs. Serials are decimal texts in JSON, since doubles cannot hold them. */
import { fromEpoch } from './epoch.ts';

export type Cell = string | number | bigint;

/** Columns as wide as their widest cell; nothing for an empty list but the words of `empty`. */
export function printTable(headings: readonly string[], rows: readonly (readonly Cell[])[], empty: string): void {
  if (rows.length === 0) {
    process.stdout.write(`${empty}\n`);
    return;
  }
  const texts = [headings, ...rows].map((row) => row.map((cell) => printable(String(cell))));
  const widths = headings.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  for (const row of texts) {
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    );
  }
}

export function printFacts(facts: readonly (readonly [string, Cell])[]): void {
  const width = Math.max(...facts.map(([name]) => name.length));
  for (const [name, value] of facts)
    process.stdout.write(`${`${name}:`.padEnd(width + 2)}${printable(String(value))}\n`);
}

export function printJson(value: unknown): void {
  const json = JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? item.toString() : item), 2);
  process.stdout.write(`${json}\n`);
}

/** `2026-11-22T14:00:00Z` */
export function formatTime(epochSeconds: bigint | null): string {
  return epochSeconds === null ? '-' : fromEpoch(epochSeconds);
}

/** Text from certificates and requests, without control characters that would drive a terminal. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, '\u{fffd}');
}
