/**
 * What a serving CA takes over of a ca.toml that was changed: policy and bounds at once, what it stands on (its name, where it listens, its
 * store, its signer) from the next start. Pure. Every section of the configuration has its place here.
 */
import type { Config } from './config.ts';

type Section = { readonly key: string; readonly counts: 'at-once' | 'from-the-next-start' };

/** The key in ca.toml of each section. */
const sections: Readonly<Record<keyof Config, Section>> = {
  name: { key: 'name', counts: 'from-the-next-start' },
  dnsNames: { key: 'dns_names', counts: 'from-the-next-start' },
  listen: { key: 'address', counts: 'from-the-next-start' },
  store: { key: 'store', counts: 'from-the-next-start' },
  signer: { key: 'signer', counts: 'from-the-next-start' },
  certificates: { key: 'certificates', counts: 'at-once' },
  enrolment: { key: 'enrolment', counts: 'at-once' },
  renewal: { key: 'renewal', counts: 'at-once' },
  oidc: { key: 'oidc', counts: 'at-once' },
  dialBack: { key: 'dial_back', counts: 'at-once' },
  dns: { key: 'dns', counts: 'at-once' },
  log: { key: 'log', counts: 'at-once' },
};
const names = Object.keys(sections) as (keyof Config)[];

export interface ConfigChange {
  /** In force from now on. */
  readonly config: Config;
  /** Keys of ca.toml whose change counts. */
  readonly taken: readonly string[];
  /** Keys of ca.toml that changed and stay as they were. */
  readonly kept: readonly string[];
}

/** @param before in force @param read from the file, checked */
export function judgeChange(before: Config, read: Config): ConfigChange {
  const changed = names.filter((name) => !sameSection(before[name], read[name]));
  const kept = changed.filter((name) => sections[name].counts === 'from-the-next-start');
  const keyOf = (name: keyof Config): string => sections[name].key;
  return {
    config: { ...read, ...Object.fromEntries(kept.map((name) => [name, before[name]])) },
    taken: changed.filter((name) => !kept.includes(name)).map(keyOf),
    kept: kept.map(keyOf),
  };
}

/** Patterns are compared by their text: what they match with is made anew each time. */
export function sameSection(one: unknown, other: unknown): boolean {
  return textOf(one) === textOf(other);
}

function textOf(section: unknown): string {
  return JSON.stringify(section, (_key, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (value instanceof Set || value instanceof Map) return [...(value as Iterable<unknown>)];
    return value;
  });
}
