/**
 * What a benchmark returns and how it is printed: a figure, what it is compared with *in the same run on the same machine*, the ratio of the
 * two, and the goal for that ratio where there is one. Figures without a ratio say little on a shared machine.
 */
export interface BenchRow {
  readonly what: string;
  /** In `unit`. */
  readonly value: number;
  readonly unit: string;
  /** What `ratio` relates to, in words. */
  readonly against?: string;
  readonly ratio?: number;
  /** As DESIGN has it, in words. */
  readonly goal?: string;
  readonly met?: boolean;
}

export interface BenchReport {
  readonly title: string;
  readonly rows: readonly BenchRow[];
}

export function printReport({ title, rows }: BenchReport): void {
  process.stdout.write(`\n${title}\n`);
  const texts = rows.map((row) => [row.what, `${format(row.value)} ${row.unit}`, ratioOf(row), goalOf(row)]);
  const widths = [0, 1, 2].map((column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  for (const row of texts) {
    process.stdout.write(
      `  ${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    );
  }
}

function ratioOf({ ratio, against }: BenchRow): string {
  return ratio === undefined ? '' : `${format(ratio)} x ${against ?? ''}`;
}

function goalOf({ goal, met }: BenchRow): string {
  if (goal === undefined) return '';
  return met === undefined ? `goal: ${goal}` : `goal: ${goal}: ${met ? 'met' : 'NOT MET'}`;
}

function format(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}

/** The p-quantile of some measurements, 0 to 1. */
export function quantile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN;
}
