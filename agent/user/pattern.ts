/** Patterns as OpenSSH matches users and host names (ssh_config(5), PATTERNS): `*` any characters, `?` one. */

/** Takes at most text length x pattern length steps, whatever the pattern. */
export function matchesPattern(text: string, pattern: string): boolean {
  let [at, in_] = [0, 0];
  let [star, retry] = [-1, 0];
  while (at < text.length) {
    if (pattern[in_] === '*') {
      star = in_++;
      retry = at;
    } else if (pattern[in_] === '?' || pattern[in_] === text[at]) {
      at++;
      in_++;
    } else if (star >= 0) {
      in_ = star + 1;
      at = ++retry;
    } else return false;
  }
  while (pattern[in_] === '*') in_++;
  return in_ === pattern.length;
}
