/**
 * Patterns for host names and principals in the policy: an exact name; `*.example.com` for exactly one label in front;
 * `**.example.com` for one or more. No pattern matches everything: a policy names what it allows.
 */
export interface NamePattern {
  readonly text: string;
  matches(name: string): boolean;
}

const LABEL = '[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?';
const namePattern = new RegExp(`^(\\*\\*?\\.)?${LABEL}(\\.${LABEL})*$`);

/** Undefined for text that is not a pattern. */
export function parseNamePattern(text: string): NamePattern | undefined {
  if (text.length > 253 || !namePattern.test(text)) return undefined;
  const suffix = text.replace(/^\*+/, '');
  if (suffix === text) return { text, matches: (name) => name === text };
  const labels = new RegExp(`^${LABEL}${text.startsWith('**') ? `(\\.${LABEL})*` : ''}$`);
  return { text, matches: (name) => name.endsWith(suffix) && labels.test(name.slice(0, -suffix.length)) };
}

export function matchesAny(patterns: readonly NamePattern[], name: string): boolean {
  return patterns.some((pattern) => pattern.matches(name));
}
