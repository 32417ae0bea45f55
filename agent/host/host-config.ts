/**
 * The configuration of the host's commands, TOML: `/etc/countersign/host.toml`, or what `--config` names. Options of the command line win.
 * Strict: unknown keys and wrong values fail, all faults reported together; durations carry units. docs/renewal.md lists the keys.
 */
import { readFile } from 'node:fs/promises';
import { parse } from 'smol-toml';
import { type Static, Type } from 'typebox';
import { Errors } from 'typebox/value';
import { Failure, systemErrorCode, systemErrorReason } from '../failure.ts';
import { type HostPolicy, defaultPolicy } from './host-policy.ts';
import { isSchedule } from './renewal/daemon.ts';

export const DEFAULT_CONFIG_PATH = '/etc/countersign/host.toml';

export class HostConfigError extends Failure<'host-config'> {
  override readonly name = 'HostConfigError';
}

const Text = Type.String({ minLength: 1, maxLength: 1024 });
const DURATION = '^([0-9]{1,6}[smhd])+$';
const Duration = Type.String({ pattern: DURATION });
const Names = Type.Array(Text, { minItems: 1, maxItems: 8 });

const HostConfigFile = Type.Object(
  {
    schedule: Type.Optional(Text),
    jitter: Type.Optional(Duration),
    'report-every': Type.Optional(Duration),
    'follow-every': Type.Optional(Duration),
    names: Type.Optional(Names),
    addresses: Type.Optional(Names),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
    'all-keys': Type.Optional(Type.Boolean()),
    'trust-users': Type.Optional(Type.Boolean()),
    reload: Type.Optional(Text),
    sshd: Type.Optional(Text),
    'sshd-config': Type.Optional(Text),
    'state-dir': Type.Optional(Text),
  },
  { additionalProperties: false },
);
type HostConfigFile = Static<typeof HostConfigFile>;

/** Every key, for the documentation. */
export const hostConfigKeys: readonly string[] = Object.keys(HostConfigFile.properties);

export interface HostConfig {
  /** As the options of the commands have them; only those that are set. */
  readonly options: {
    readonly name?: readonly string[];
    readonly ip?: readonly string[];
    readonly port?: number;
    readonly allKeys?: boolean;
    readonly trustUsers?: boolean;
    readonly reload?: string;
    readonly sshd?: string;
    readonly sshdConfig?: string;
    readonly stateDir?: string;
  };
  readonly policy: HostPolicy;
}

/** In seconds, both ends inclusive. */
const bounds = {
  jitter: [0, 3600],
  'report-every': [60, 7 * 86_400],
  'follow-every': [60, 86_400],
} as const;

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** @param path undefined: the default one, which need not be there and is for root alone @throws HostConfigError */
export async function readHostConfig(path: string | undefined): Promise<HostConfig> {
  const none = { options: {}, policy: defaultPolicy };
  if (path === undefined && process.geteuid?.() !== 0) return none;
  const place = path ?? DEFAULT_CONFIG_PATH;
  try {
    return parseHostConfig(await readFile(place, 'utf8'), place);
  } catch (cause) {
    if (systemErrorCode(cause) === undefined) throw cause;
    if (path === undefined && systemErrorCode(cause) === 'ENOENT') return none;
    throw new HostConfigError('host-config', `${place} cannot be read: ${systemErrorReason(cause)}`, { cause });
  }
}

/** @param path for messages @throws HostConfigError with every fault */
export function parseHostConfig(text: string, path: string): HostConfig {
  const value = parsed(text, path);
  const faults = Errors(HostConfigFile, value)
    .filter(({ keyword }) => keyword !== 'additionalProperties') // names no key; each key has a fault of its own
    .map(({ keyword, instancePath, message }) => {
      return `${instancePath.slice(1)}: ${keyword === 'boolean' ? 'there is no such key' : message}`;
    });
  const file = value as HostConfigFile; // as far as there are no faults
  const all = [...faults, ...findFaults(file)];
  if (all.length === 0) return { options: optionsOf(file), policy: policyOf(file) };
  const noun = all.length === 1 ? 'a fault' : `${all.length} faults`;
  throw new HostConfigError('host-config', `${path} has ${noun}`, { advice: all.join('\n') });
}

function parsed(text: string, path: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    const advice = cause instanceof Error ? cause.message : 'It cannot be read.';
    throw new HostConfigError('host-config', `${path} is not TOML`, { cause, advice });
  }
}

/** What a schema does not see; of values that have the right type. */
function findFaults(file: HostConfigFile): string[] {
  const faults: string[] = [];
  if (typeof file.schedule === 'string' && !isSchedule(file.schedule)) faults.push('schedule: not a cron expression');
  for (const [key, [least, most]] of Object.entries(bounds)) {
    const seconds = secondsOf(file[key as keyof typeof bounds]);
    if (seconds !== undefined && (seconds < least || seconds > most)) {
      faults.push(`${key}: from ${least} s to ${most} s`);
    }
  }
  return faults;
}

/** Undefined for what is not set, and for what the schema refuses anyway. */
function secondsOf(text: unknown): number | undefined {
  if (typeof text !== 'string' || !new RegExp(DURATION).test(text)) return undefined;
  let seconds = 0;
  for (const [, count, unit = 's'] of text.matchAll(/(\d+)([smhd])/g))
    seconds += Number(count) * (unitSeconds[unit] ?? 1);
  return seconds;
}

function policyOf(file: HostConfigFile): HostPolicy {
  return {
    schedule: file.schedule ?? defaultPolicy.schedule,
    jitterSeconds: secondsOf(file.jitter) ?? defaultPolicy.jitterSeconds,
    reportEverySeconds: secondsOf(file['report-every']) ?? defaultPolicy.reportEverySeconds,
    followEverySeconds: secondsOf(file['follow-every']) ?? defaultPolicy.followEverySeconds,
  };
}

function optionsOf(file: HostConfigFile): HostConfig['options'] {
  const options = {
    name: file.names,
    ip: file.addresses,
    port: file.port,
    allKeys: file['all-keys'],
    trustUsers: file['trust-users'],
    reload: file.reload,
    sshd: file.sshd,
    sshdConfig: file['sshd-config'],
    stateDir: file['state-dir'],
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
