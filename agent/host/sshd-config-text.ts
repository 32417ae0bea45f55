/**
 * The text of an sshd_config (sshd_config(5)): which drop-in directory its `Include` lines cover, and a marked block of ours for a
 * configuration that includes none. Pure. Taking the block out gives back exactly the text that it was put into.
 */
import { posix } from 'node:path';

/** Relative patterns in `Include` are relative to this directory, wherever the file itself lies. */
const INCLUDE_BASE = '/etc/ssh';

const BLOCK_BEGIN = '# BEGIN countersign (countersign host remove takes this block away)';
const BLOCK_END = '# END countersign';

/**
 * The directories in which a file `*.conf` would be read for every connection, in order: those of `Include` lines of the form
 * `DIR/*.conf` or `DIR/*` that stand before the first `Match`.
 */
export function includedDirectories(text: string): string[] {
  return globalLines(text)
    .filter(({ keyword }) => keyword === 'include')
    .flatMap(({ rest }) => splitArguments(rest))
    .flatMap((pattern) => directoryOfPattern(posix.resolve(INCLUDE_BASE, pattern)));
}

interface ConfigLine {
  /** In lower case. */
  readonly keyword: string;
  readonly rest: string;
}

function globalLines(text: string): ConfigLine[] {
  const lines = text.split('\n').flatMap(parseLine);
  const match = lines.findIndex(({ keyword }) => keyword === 'match');
  return match === -1 ? lines : lines.slice(0, match);
}

/** `Keyword arguments` or `Keyword=arguments`. */
function parseLine(line: string): ConfigLine[] {
  const [, keyword, rest] = /^\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.*?)\s*$/.exec(line) ?? [];
  return keyword === undefined || rest === undefined ? [] : [{ keyword: keyword.toLowerCase(), rest }];
}

/** White space separates; double quotes keep together; a `#` at the start of an argument begins a comment. */
function splitArguments(rest: string): string[] {
  const found: string[] = [];
  for (const [, quoted, bare] of rest.matchAll(/"([^"]*)"|(\S+)/g)) {
    if (bare?.startsWith('#') === true) break;
    found.push(quoted ?? bare ?? '');
  }
  return found;
}

function directoryOfPattern(pattern: string): string[] {
  const [directory, last] = [posix.dirname(pattern), posix.basename(pattern)];
  return (last === '*.conf' || last === '*') && !/[*?[\]]/.test(directory) ? [directory] : [];
}

/** Puts a marked block in front, where no `Match` can swallow it, in place of an earlier one. */
export function withBlock(text: string, lines: readonly string[]): string {
  return `${[BLOCK_BEGIN, ...lines, BLOCK_END].join('\n')}\n${withoutBlock(text)}`;
}

/** The text as it was before `withBlock`; the same text when there is no block, or no whole one. */
export function withoutBlock(text: string): string {
  const begin = text.startsWith(`${BLOCK_BEGIN}\n`) ? 0 : text.indexOf(`\n${BLOCK_BEGIN}\n`) + 1;
  if (begin === 0 && !text.startsWith(BLOCK_BEGIN)) return text;
  const end = text.indexOf(`\n${BLOCK_END}\n`, begin);
  return end === -1 ? text : text.slice(0, begin) + text.slice(end + BLOCK_END.length + 2);
}

/** A path as an argument. @throws TypeError for a path that sshd_config cannot hold */
export function configArgument(path: string): string {
  if (/["\r\n\0]/.test(path)) throw new TypeError('path with a quote or line break');
  return /[\s#]/.test(path) ? `"${path}"` : path;
}
