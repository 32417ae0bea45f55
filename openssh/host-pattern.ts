/**
 * Pattern lists as ssh matches host names with them (ssh_config(5) PATTERNS, match.c): `*`, `?`, `!` and commas.
 * Written without backtracking: the time is at most the product of the two lengths.
 */

/** OpenSSH lets a list match nothing at all when one of its patterns is longer. */
const MAX_PATTERN_LENGTH = 1022;

/**
 * `no` when a negated pattern matches, whatever else does; else `yes` or `none`. Case counts: pass lower case for host names.
 */
export function matchPatternList(text: string, list: string): 'yes' | 'no' | 'none' {
  let found: 'yes' | 'none' = 'none';
  for (const item of list.split(',')) {
    const negated = item.startsWith('!');
    const pattern = negated ? item.slice(1) : item;
    if (pattern.length > MAX_PATTERN_LENGTH) return 'none';
    if (!matchPattern(text, pattern)) continue;
    if (negated) return 'no';
    found = 'yes';
  }
  return found;
}

/** True if the whole of `text` matches; `*` stands for any run of characters, `?` for exactly one. */
export function matchPattern(text: string, pattern: string): boolean {
  let [at, inPattern] = [0, 0];
  let [starInPattern, starAt] = [-1, 0];
  while (at < text.length) {
    if (pattern[inPattern] === '*') {
      [starInPattern, starAt] = [inPattern++, at];
    } else if (inPattern < pattern.length && (pattern[inPattern] === '?' || pattern[inPattern] === text[at])) {
      inPattern++;
      at++;
    } else if (starInPattern >= 0) {
      // The last star takes one more character; an earlier one never needs to.
      [inPattern, at] = [starInPattern + 1, ++starAt];
    } else {
      return false;
    }
  }
  while (pattern[inPattern] === '*') inPattern++;
  return inPattern === pattern.length;
}
