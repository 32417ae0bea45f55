/**
 * What ssh is told: one block at the start of the user's ssh_config that includes our file, our file, and our known_hosts. Pure, on the bytes
 * of the file as latin1 text, so that every other line stays as it is, whatever its encoding and line ends.
 */
import type { PublicKey } from '#openssh/public-key.ts';
import { knownHostsLine, parseKnownHosts } from '#openssh/known-hosts.ts';
import { SshConfigError } from './ssh-config-error.ts';

/** The last word tells whether the file was there before: what `remove` needs to leave things as they were. */
const beginnings = {
  extended: '# countersign ssh-config: begin (countersign ssh-config remove takes this away)\n',
  made: '# countersign ssh-config: begin (countersign ssh-config remove takes this file away)\n',
} as const;
const END = '# countersign ssh-config: end\n';
const MARK = /^# countersign ssh-config: /m;

export interface UserConfig {
  /** Without our block. */
  readonly rest: string;
  /** Whether the file exists because of us. */
  readonly isOurs: boolean;
  readonly hasBlock: boolean;
}

/** @param text undefined for a file that does not exist @throws SshConfigError `block-damaged` */
export function parseUserConfig(text: string | undefined): UserConfig {
  if (text === undefined) return { rest: '', isOurs: true, hasBlock: false };
  for (const [kind, beginning] of Object.entries(beginnings)) {
    const start = text.indexOf(beginning);
    const end = start < 0 ? -1 : text.indexOf(END, start);
    if (end < 0) continue;
    const rest = text.slice(0, start) + text.slice(end + END.length);
    if (!MARK.test(rest)) return { rest, isOurs: kind === 'made', hasBlock: true };
  }
  if (!MARK.test(text)) return { rest: text, isOurs: false, hasBlock: false };
  throw new SshConfigError('block-damaged', 'the lines of countersign in the ssh configuration were edited', {
    advice:
      'Delete the lines from "# countersign ssh-config: begin" to "# countersign ssh-config: end", both included, and run the command again.',
  });
}

/** Ours comes first: `Include` belongs to the block of `Host` or `Match` that it stands in. */
export function formatUserConfig({ rest, isOurs }: UserConfig, includePath: string): string {
  return `${isOurs ? beginnings.made : beginnings.extended}Include ${quoted(includePath)}\n${END}${rest}`;
}

export interface IncludeFile {
  readonly agentSocket: string;
  readonly knownHosts: string;
  /** A KRL; undefined: ssh is told of none. */
  readonly revokedKeys?: string | undefined;
}

/**
 * The user's own known_hosts files stay what they are: ssh reads ours as one of the system's, and writes to it never. `RevokedHostKeys` holds
 * one file, and the first that ssh reads wins: it is left out where the user or the system has one.
 */
export function formatInclude({ agentSocket, knownHosts, revokedKeys }: IncludeFile): string {
  const lines = [
    '# Written by: countersign ssh-config install. It is written anew each time.',
    `IdentityAgent ${quoted(agentSocket)}`,
    `GlobalKnownHostsFile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2 ${quoted(knownHosts)}`,
    ...(revokedKeys === undefined ? [] : [`RevokedHostKeys ${quoted(revokedKeys)}`]),
  ];
  return `${lines.join('\n')}\n`;
}

/** Whether a configuration, latin1, names revoked host keys of its own. */
export function namesRevokedKeys(config: string): boolean {
  return /^[ \t]*RevokedHostKeys[ \t=]/im.test(config);
}

/** What `install` was told, read from our files, for `refresh`. */
export interface Choices {
  readonly hosts: readonly string[];
  readonly agentSocket: string;
}

/** Undefined when these are not our files as we write them. */
export function readChoices(include: string, knownHosts: Uint8Array): Choices | undefined {
  const [, socket] = /^IdentityAgent "([^"]+)"$/m.exec(include) ?? [];
  const [entry] = parseKnownHosts(knownHosts).flatMap((line) => line.entry ?? []);
  if (socket === undefined || entry?.marker !== 'cert-authority') return undefined;
  return { hosts: entry.hosts.split(','), agentSocket: Buffer.from(socket, 'latin1').toString() };
}

/** Host and port of the CA whose keys are in our known_hosts; undefined when these are not our lines. */
export function installedCa(knownHosts: Uint8Array): string | undefined {
  const [, host] = / countersign (\S+)\s*$/.exec(Buffer.from(knownHosts).toString('latin1')) ?? [];
  return host;
}

/** @param patterns of host names, as in known_hosts @throws SshConfigError `hosts-invalid` */
export function formatKnownHostsFile(keys: readonly PublicKey[], patterns: readonly string[], url: string): string {
  const comment = `countersign ${new URL(url).host}`;
  try {
    const lines = keys.map((key) => knownHostsLine({ marker: 'cert-authority', patterns, key, comment }));
    return lines.map(({ raw }) => Buffer.from(raw).toString('latin1')).join('');
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new SshConfigError('hosts-invalid', `these are no patterns of host names: ${cause.message}`, {
      cause,
      advice: 'Write them as in known_hosts: --hosts "*.example.com" --hosts 10.1.2.3',
    });
  }
}

/** @throws SshConfigError `path-unusable` for what ssh would read as something else */
function quoted(path: string): string {
  if (/^[^"$%\\\p{Cc}]+$/u.test(path)) return `"${Buffer.from(path).toString('latin1')}"`;
  throw new SshConfigError('path-unusable', 'a path has characters that ssh_config gives another meaning', {
    advice: 'Use a directory without quotes, backslashes, percent and dollar signs in its name.',
  });
}
