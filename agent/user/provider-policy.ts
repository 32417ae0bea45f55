/**
 * Which middleware a security key may name (`ssh-agent -P`): loading a library on a client's word once was a remote code
 * execution (CVE-2016-10009, CVE-2023-38408). `internal` is always fine; anything else must be a path that the list allows,
 * and is refused from connections that may come from another machine.
 */
import { matchesPattern } from './pattern.ts';

export const DEFAULT_ALLOWED_PROVIDERS = '/usr/lib*/*,/usr/local/lib*/*';

/** @param patterns comma-separated; `!` in front of one refuses, and wins */
export function isInPatternList(text: string, patterns: string): boolean {
  const list = patterns.split(',').filter((pattern) => pattern !== '');
  const matches = (pattern: string): boolean => matchesPattern(text, pattern);
  if (list.some((pattern) => pattern.startsWith('!') && matches(pattern.slice(1)))) return false;
  return list.some((pattern) => !pattern.startsWith('!') && matches(pattern));
}
