/**
 * known_hosts files (sshd(8) SSH_KNOWN_HOSTS FILE FORMAT; hostfile.c): lines in, lines out, byte for byte, and the answer ssh gives.
 * Markers `@cert-authority` and `@revoked`, pattern lists, `[host]:port`, hashed names (read and matched, never written).
 * A line that we cannot read (comment, blank, damaged, a key type that we refuse) is `foreign`: kept, and without effect, as in ssh.
 */
import { createHmac } from 'node:crypto';
import { decodeBase64 } from './base64.ts';
import type { Certificate } from './certificate.ts';
import { FormatError } from './format-error.ts';
import { matchPatternList } from './host-pattern.ts';
import { type PublicKey, encodePublicKey, formatPublicKeyLine, parsePublicKeyLine } from './public-key.ts';
import { equalBytes } from './wire.ts';

export const MAX_KNOWN_HOSTS_LENGTH = 16 * 1024 * 1024;
/** A longer line is foreign. */
const MAX_LINE_LENGTH = 64 * 1024;
const DEFAULT_PORT = 22;
const SHA1_LENGTH = 20;

export type KnownHostMarker = 'cert-authority' | 'revoked';

export interface KnownHost {
  readonly marker?: KnownHostMarker;
  /** The host field as it stands: a pattern list, or one hashed name. */
  readonly hosts: string;
  readonly key: PublicKey;
  /** The blob of `key`. */
  readonly blob: Uint8Array;
  readonly comment: string;
}

export interface KnownHostsLine {
  /** The line as it stands, with its line end if it has one. */
  readonly raw: Uint8Array;
  /** Undefined for a foreign line. */
  readonly entry?: KnownHost;
}

/** @throws FormatError `too-large` alone: whatever is in the file, each line is an entry or foreign */
export function parseKnownHosts(file: Uint8Array): KnownHostsLine[] {
  if (file.length > MAX_KNOWN_HOSTS_LENGTH)
    throw new FormatError('too-large', 'the known_hosts file is longer than 16 MiB');
  const lines: KnownHostsLine[] = [];
  for (let start = 0; start < file.length;) {
    const end = file.indexOf(0x0a, start);
    const next = end < 0 ? file.length : end + 1;
    lines.push(parseLine(file.subarray(start, next)));
    start = next;
  }
  return lines;
}

/** The inverse of `parseKnownHosts`. A line end is added where a line that is not the last lacks it. */
export function formatKnownHosts(lines: readonly KnownHostsLine[]): Uint8Array {
  const parts = lines.flatMap(({ raw }, index) =>
    raw.at(-1) === 0x0a || index === lines.length - 1 ? [raw] : [raw, Uint8Array.of(0x0a)],
  );
  return new Uint8Array(Buffer.concat(parts));
}

export interface NewKnownHost {
  readonly marker?: KnownHostMarker;
  /** Patterns: names, addresses, `[host]:port`, with `*`, `?` and a leading `!`; written in lower case. At least one. */
  readonly patterns: readonly string[];
  readonly key: PublicKey;
  readonly comment?: string;
}

/** A new line with its line end. @throws TypeError for patterns that would read back as something else */
export function knownHostsLine(host: NewKnownHost): KnownHostsLine {
  if (host.patterns.length === 0) throw new TypeError('a known host needs a pattern');
  const hosts = host.patterns.map((pattern) => usablePattern(pattern)).join(',');
  const marker = host.marker === undefined ? '' : `@${host.marker} `;
  const text = `${marker}${hosts} ${formatPublicKeyLine(host.key, host.comment)}\n`;
  const line = parseLine(new TextEncoder().encode(text));
  if (line.entry === undefined) throw new TypeError('a known host that would not read back');
  return line;
}

/** The name under which ssh looks a host up: lower case, with the port unless it is 22. */
export function knownHostName(host: string, port: number = DEFAULT_PORT): string {
  const name = host.toLowerCase();
  return port === DEFAULT_PORT ? name : `[${name}]:${port}`;
}

/** True if the entry is for `name` as `knownHostName` gives it. */
export function isKnownAs(entry: KnownHost, name: string): boolean {
  const lower = name.toLowerCase();
  if (entry.hosts.startsWith('|')) return matchesHash(entry.hosts, lower);
  return matchPatternList(lower, entry.hosts.toLowerCase()) === 'yes';
}

/** `changed`: other keys are known for this host, and not this one. `unknown`: none is. */
export type HostKeyStatus = 'known' | 'changed' | 'unknown' | 'revoked';

/**
 * What ssh finds for a host that shows this key or certificate: a certificate is known through an `@cert-authority` line alone,
 * a key through an unmarked one alone; one `@revoked` line for the key or its CA ends it. When nothing is known under
 * `[host]:port`, a match under the name without the port counts. Whether a certificate is valid is decided elsewhere.
 */
export function findHostKeyStatus(
  lines: readonly KnownHostsLine[],
  { host, port = DEFAULT_PORT }: { readonly host: string; readonly port?: number },
  shown: PublicKey | Certificate,
): HostKeyStatus {
  const status = statusUnder(lines, knownHostName(host, port), shown);
  if (status !== 'unknown' || port === DEFAULT_PORT) return status;
  const withoutPort = statusUnder(lines, knownHostName(host), shown);
  return withoutPort === 'known' ? 'known' : status;
}

function statusUnder(lines: readonly KnownHostsLine[], name: string, shown: PublicKey | Certificate): HostKeyStatus {
  const entries = lines.flatMap(({ entry }) => (entry !== undefined && isKnownAs(entry, name) ? [entry] : []));
  const certified = 'signatureKey' in shown;
  const blobs = certified
    ? [encodePublicKey(shown.key), encodePublicKey(shown.signatureKey)]
    : [encodePublicKey(shown)];
  const isShown = (entry: KnownHost): boolean => blobs.some((blob) => equalBytes(blob, entry.blob));
  if (entries.some((entry) => entry.marker === 'revoked' && isShown(entry))) return 'revoked';
  const trusting = entries.filter((entry) => entry.marker === (certified ? 'cert-authority' : undefined));
  const wanted = blobs.at(-1) ?? new Uint8Array();
  if (trusting.some((entry) => equalBytes(wanted, entry.blob))) return 'known';
  return certified || trusting.length === 0 ? 'unknown' : 'changed';
}

/** Never throws: what cannot be read is foreign. */
function parseLine(raw: Uint8Array): KnownHostsLine {
  if (raw.length > MAX_LINE_LENGTH) return { raw };
  const text = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  const match = /^[ \t]*(?:(@[^ \t]+)[ \t]+)?([^ \t@#][^ \t]*)[ \t]+([^ \t].*)$/.exec(text);
  const [, marker, hosts, keyLine] = match ?? [];
  if (hosts === undefined || keyLine === undefined) return { raw };
  if (marker !== undefined && marker !== '@cert-authority' && marker !== '@revoked') return { raw };
  try {
    const parsed = parsePublicKeyLine(keyLine);
    const entry = { hosts, ...parsed };
    return { raw, entry: marker === undefined ? entry : { marker: marker.slice(1) as KnownHostMarker, ...entry } };
  } catch (error) {
    if (error instanceof FormatError) return { raw };
    throw error;
  }
}

/** `|1|salt|HMAC-SHA1(salt, name)`, both base64 (ssh_config(5) HashKnownHosts). */
function matchesHash(hosts: string, name: string): boolean {
  const [, saltText, hashText] = /^\|1\|([^|]{28})\|([^|]{28})$/.exec(hosts) ?? [];
  if (saltText === undefined || hashText === undefined) return false;
  try {
    const [salt, hash] = [decodeBase64(saltText), decodeBase64(hashText)];
    return salt.length === SHA1_LENGTH && equalBytes(createHmac('sha1', salt).update(name).digest(), hash);
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

function usablePattern(pattern: string): string {
  if (!/^!?[A-Za-z0-9*?.:[\]%_-]+$/.test(pattern))
    throw new TypeError('a pattern with characters that no host name has');
  return pattern.toLowerCase();
}
