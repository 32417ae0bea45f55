/**
 * Lines of an allowed-signers file (ssh-keygen(1) ALLOWED SIGNERS; sshsig.c), which tell `ssh-keygen -Y verify` whom to believe:
 * `principals [options] type base64 [comment]`.
 * Refused on purpose: times without `Z`, which mean another moment in every time zone; unknown options; wildcards in nothing but
 * principals and namespaces.
 */
import { FormatError } from './format-error.ts';
import { type PublicKey, formatPublicKeyLine, parsePublicKeyLine } from './public-key.ts';

const MAX_LINE_LENGTH = 64 * 1024;

export interface AllowedSigner {
  /** Patterns, at least one. */
  readonly principals: readonly string[];
  /** The key is a CA: certificates that it signed may sign, under the principals they name. Default false. */
  readonly certAuthority?: boolean;
  /** Patterns; undefined: every namespace. */
  readonly namespaces?: readonly string[];
  /** Epoch seconds, inclusive both; not 0. */
  readonly validAfter?: bigint;
  readonly validBefore?: bigint;
  readonly key: PublicKey;
  readonly comment?: string;
}

/** One line, without a line end. @throws TypeError for patterns or times that the format cannot hold */
export function formatAllowedSigner(signer: AllowedSigner): string {
  const options = [
    ...(signer.certAuthority === true ? ['cert-authority'] : []),
    ...(signer.namespaces === undefined ? [] : [`namespaces="${joinPatterns(signer.namespaces)}"`]),
    ...(signer.validAfter === undefined ? [] : [`valid-after="${formatTime(signer.validAfter)}"`]),
    ...(signer.validBefore === undefined ? [] : [`valid-before="${formatTime(signer.validBefore)}"`]),
  ].join(',');
  const principals = joinPatterns(signer.principals);
  return [principals, ...(options === '' ? [] : [options]), formatPublicKeyLine(signer.key, signer.comment)].join(' ');
}

/** Undefined for a blank line or a comment. @throws FormatError */
export function parseAllowedSigner(line: string): AllowedSigner | undefined {
  if (line.length > MAX_LINE_LENGTH)
    throw new FormatError('too-large', 'an allowed-signers line is longer than 64 KiB');
  const text = line.trim();
  if (text === '' || text.startsWith('#')) return undefined;
  const [start = '', quoted, plain] = /^(?:"([^"]*)"|([^\s"]+))[ \t]+/.exec(text) ?? [];
  const principals = (quoted ?? plain ?? '').split(',');
  if (principals.includes('')) throw malformed();
  const rest = text.slice(start.length);
  const options = /^(?:cert-authority|namespaces=|valid-after=|valid-before=)/i.test(rest) ? leadingOptions(rest) : '';
  const { key, comment } = parsePublicKeyLine(rest.slice(options.length));
  return { principals, ...parseOptions(options), key, ...(comment === '' ? {} : { comment }) };
}

type Options = Pick<AllowedSigner, 'certAuthority' | 'namespaces' | 'validAfter' | 'validBefore'>;

/** Up to the first space or tab outside quotes. */
function leadingOptions(text: string): string {
  return /^(?:[^\s"]|"(?:[^"\\]|\\.)*")+(?=[ \t])/.exec(text)?.[0] ?? '';
}

function parseOptions(text: string): Options {
  const options: { -readonly [Name in keyof Options]: Options[Name] } = {};
  const pattern = /([A-Za-z-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,(?=[A-Za-z])|$)/y;
  while (pattern.lastIndex < text.length) {
    const [, name = '', value] = pattern.exec(text) ?? [];
    const given = value?.replaceAll('\\"', '"');
    setOption(options, name.toLowerCase(), given);
  }
  if (
    options.validAfter !== undefined &&
    options.validBefore !== undefined &&
    options.validBefore <= options.validAfter
  )
    throw new FormatError('bad-value', 'the signer stops being valid before it starts');
  return options;
}

function setOption(options: { -readonly [Name in keyof Options]: Options[Name] }, name: string, value?: string): void {
  if (name === 'cert-authority' && value === undefined) options.certAuthority = true;
  else if (value === undefined) throw malformed();
  else if (name === 'namespaces' && options.namespaces === undefined) options.namespaces = value.split(',');
  else if (name === 'valid-after' && options.validAfter === undefined) options.validAfter = parseTime(value);
  else if (name === 'valid-before' && options.validBefore === undefined) options.validBefore = parseTime(value);
  else throw malformed();
}

function joinPatterns(patterns: readonly string[]): string {
  if (patterns.length === 0) throw new TypeError('no pattern');
  for (const pattern of patterns) {
    if (!/^[!-~]+$/.test(pattern) || /[",\\]/.test(pattern) || pattern.startsWith('#'))
      throw new TypeError('a pattern that is empty, or holds white space, commas, quotes or backslashes');
  }
  return patterns.join(',');
}

/** `YYYYMMDDHHMMSSZ` */
function formatTime(seconds: bigint): string {
  if (seconds <= 0n || seconds > 253_402_300_799n) throw new TypeError('a time outside 1970 to 9999');
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
}

/** `YYYYMMDD[HHMM[SS]]Z` */
function parseTime(text: string): bigint {
  const match = /^(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?(?:Z|UTC)$/i.exec(text);
  if (match === null) throw new FormatError('bad-value', 'a time is not YYYYMMDD[HHMM[SS]] with a Z at its end');
  const [, year, month, day, hours = '00', minutes = '00', seconds = '00'] = match;
  const iso = `${year}-${month}-${day}T${hours}:${minutes}:${seconds}.000Z`;
  const time = new Date(iso);
  if (Number.isNaN(time.getTime()) || time.toISOString() !== iso || time.getTime() <= 0)
    throw new FormatError('bad-value', 'a time is not a date of the calendar');
  return BigInt(time.getTime() / 1000);
}

function malformed(): FormatError {
  return new FormatError(
    'bad-value',
    'not an allowed-signers line: expected PRINCIPALS [OPTIONS] TYPE BASE64 [COMMENT]',
  );
}
