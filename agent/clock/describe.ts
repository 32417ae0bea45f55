/** How far off a clock is, for people. */

const units = [
  [600, 1, 's'],
  [7200, 60, 'min'],
  [2 * 86_400, 3600, 'h'],
  [2 * 365 * 86_400, 86_400, 'days'],
  [Infinity, 31_557_600, 'years'],
] as const;

/** In the unit that fits: `540 s`, `57 years`. @param seconds 0 or more */
export function describeSeconds(seconds: number): string {
  const [, size, name] = units.find(([below]) => seconds < below) ?? units[0];
  return `${Math.round(seconds / size)} ${name}`;
}
