/** Durations as ssh-agent takes them for `-t` (sshd_config(5), TIME FORMATS): `600`, `1h30m`, `2d`. */

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const MAX_SECONDS = 0x7fff_ffff;

/** Seconds; undefined for a text that is not a duration, or beyond 2^31 seconds. */
export function parseLifetime(text: string): number | undefined {
  if (!/^(\d{1,10}[smhdw]?)+$/i.test(text)) return undefined;
  let seconds = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([smhdw]?)/gi)) {
    seconds += Number(count) * (units[unit?.toLowerCase() || 's'] ?? 1);
  }
  return seconds <= MAX_SECONDS ? seconds : undefined;
}
