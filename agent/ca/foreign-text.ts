/** Text of the CA on its way to a terminal or log: one line, no control characters, bounded. */
export function printable(text: string, maxLength: number): string {
  const clean = text.replaceAll(/[\p{C}\p{Z}]+/gu, ' ').trim();
  return clean.length > maxLength ? `${clean.slice(0, maxLength)}…` : clean;
}
