/** ca.toml of a CA directory, read and checked. */
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { CommandError } from '../command-error.ts';
import type { Config } from '../config/config.ts';
import { ConfigError, parseConfig } from '../config/parse.ts';
import type { CaLayout } from './layout.ts';

/** @throws CommandError for a directory without a readable ca.toml, or for one with faults, all of them named */
export async function openConfig(layout: CaLayout): Promise<Config> {
  const text = await readFile(layout.config, 'utf8').catch((cause: unknown) => {
    throw new CommandError(
      `${layout.config} cannot be read. Is ${layout.directory} a CA directory? Make one with: countersign-ca init`,
      { cause },
    );
  });
  try {
    return parseConfig(text);
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    const faults = cause.message.split('\n').map((line) => `  ${line}`);
    throw new CommandError(`${layout.config} cannot be used:\n${faults.join('\n')}\nCorrect the file and try again.`, {
      cause,
    });
  }
}

/** The store's file; a relative path is relative to the CA directory. */
export function storePath(layout: CaLayout, { store }: Config): string {
  return isAbsolute(store.path) ? store.path : join(layout.directory, store.path);
}

/** `host:port` as clients write it: the first name of the CA and the port it listens on. */
export function authorityOf({ dnsNames }: Config, port: number): string {
  const host = dnsNames[0] ?? 'localhost';
  const bracketed = host.includes(':') ? `[${host}]` : host;
  return port === 443 ? bracketed : `${bracketed}:${port}`;
}
