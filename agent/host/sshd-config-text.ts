/**
 * The text of an sshd_config (sshd_config(5)): which drop-in directory its `Include` lines cover, and a marked block of ours for a
 * configuration that includes none. Pure. Taking the block out gives back exactly the text that it was put into.
 */
import { posix } from 'node:path';

declare const configTextBrand: unique symbol;
/** One character for each byte: sshd_config has no encoding, and what we do not touch must come back as it was. */
export type ConfigText = string & { readonly [configTextBrand]: true };

export function decodeConfig(bytes: Uint8Array): ConfigText {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as ConfigText;
}

export function encodeConfig(text: ConfigText): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** Ordinary text, such as a path, as it stands in a configuration. */
function toConfigText(text: string): ConfigText {
  return decodeConfig(Buffer.from(text, 'utf8'));
}

function fromConfigText(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}

/** Relative patterns in `Include` are relative to this directory, wherever the file itself lies. */
const INCLUDE_BASE = '/etc/ssh';

const BLOCK_BEGIN = '# BEGIN countersign (countersign host remove takes this block away)';
const BLOCK_END = '# END countersign';

/**
 * The directories in which a file `*.conf` would be read for every connection, in order: those of `Include` lines of the form
 * `DIR/*.conf` or `DIR/*` that stand before the first `Match`.
 */
export function includedDirectories(text: ConfigText): string[] {
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
    found.push(fromConfigText(quoted ?? bare ?? ''));
  }
  return found;
}

function directoryOfPattern(pattern: string): string[] {
  const [directory, last] = [posix.dirname(pattern), posix.basename(pattern)];
  return (last === '*.conf' || last === '*') && !/[*?[\]]/.test(directory) ? [directory] : [];
}

/** Puts a marked block in front, where no `Match` can swallow it, in place of an earlier one. */
export function withBlock(text: ConfigText, lines: readonly string[]): ConfigText {
  const block = toConfigText(`${[BLOCK_BEGIN, ...lines, BLOCK_END].join('\n')}\n`);
  return `${block}${withoutBlock(text)}` as ConfigText;
}

/** The text as it was before `withBlock`; the same text when there is no block, or no whole one. */
export function withoutBlock(text: ConfigText): ConfigText {
  const { begin, end } = findBlock(text);
  return (text.slice(0, begin) + text.slice(end)) as ConfigText;
}

function blockOf(text: string): string {
  const { begin, end } = findBlock(text);
  return text.slice(begin, end);
}

/** The first whole block with its last line end; an empty range when there is none. */
function findBlock(text: string): { readonly begin: number; readonly end: number } {
  const begin = text.startsWith(`${BLOCK_BEGIN}\n`) ? 0 : text.indexOf(`\n${BLOCK_BEGIN}\n`) + 1;
  const last = text.indexOf(`\n${BLOCK_END}\n`, begin);
  const none = last === -1 || !text.startsWith(`${BLOCK_BEGIN}\n`, begin);
  return none ? { begin: 0, end: 0 } : { begin, end: last + BLOCK_END.length + 2 };
}

/** A path as an argument. @throws TypeError for a path that sshd_config cannot hold */
export function configArgument(path: string): string {
  if (/["\r\n\0]/.test(path)) throw new TypeError('path with a quote or line break');
  return /[\s#]/.test(path) ? `"${path}"` : path;
}

/** The files that our own `HostCertificate` lines name: all of a drop-in, or those inside our block of a configuration. */
export function certificatesNamedIn(text: ConfigText, kind: 'file' | 'block'): string[] {
  const own = kind === 'file' ? text : blockOf(text);
  return own
    .split('\n')
    .flatMap(parseLine)
    .filter(({ keyword }) => keyword === 'hostcertificate')
    .flatMap(({ rest }) => splitArguments(rest).slice(0, 1));
}
