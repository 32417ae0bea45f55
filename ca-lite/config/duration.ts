/** Durations as a person writes them in ca.toml: whole numbers with a unit, `90s`, `15m`, `16h`, `30d`, also `1h30m`. A bare number is refused. */

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
/** A hundred years: more is a slip of the pen. */
const MAX_SECONDS = 100 * 366 * 86_400;

/** Seconds, or undefined for text that is not a positive duration of at most a hundred years. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d{1,9}[smhd])+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)([smhd])/g)) seconds += Number(amount) * (units[unit ?? ''] ?? 0);
  return seconds > 0 && seconds <= MAX_SECONDS ? seconds : undefined;
}

/** The shortest text that `parseDuration` gives the same seconds for. */
export function formatDuration(seconds: number): string {
  const parts: string[] = [];
  let rest = seconds;
  for (const [unit, size] of Object.entries(units).toReversed()) {
    const amount = Math.floor(rest / size);
    if (amount > 0) parts.push(`${amount}${unit}`);
    rest -= amount * size;
  }
  return parts.length === 0 ? '0s' : parts.join('');
}
