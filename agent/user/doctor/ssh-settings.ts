/** What ssh would do for a host, as `ssh -G HOST` prints it: the settings that decide about certificates. Pure. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `unknown`: with tokens that only ssh can fill in. */
export type AgentSetting = { readonly kind: 'none' | 'unknown' } | { readonly kind: 'socket'; readonly path: string };

export interface SshSettings {
  readonly hostName: string;
  readonly port: number;
  /** The login name there. */
  readonly user: string;
  readonly agent: AgentSetting;
  readonly identitiesOnly: boolean;
  readonly acceptedAlgorithms: ReadonlySet<string>;
}

/** @param printed the output of `ssh -G` @param environment of ssh: it may name the agent */
export function parseSshSettings(printed: string, environment: NodeJS.ProcessEnv): SshSettings {
  const values = new Map<string, string>();
  for (const line of printed.split('\n')) {
    const [, key, value] = /^([a-z0-9]+) (.*)$/.exec(line.trimEnd()) ?? [];
    if (key !== undefined && value !== undefined && !values.has(key)) values.set(key, value);
  }
  return {
    hostName: values.get('hostname') ?? '',
    port: Number(values.get('port') ?? 22),
    user: values.get('user') ?? '',
    agent: agentOf(values.get('identityagent') ?? 'SSH_AUTH_SOCK', environment),
    identitiesOnly: values.get('identitiesonly') === 'yes',
    acceptedAlgorithms: new Set((values.get('pubkeyacceptedalgorithms') ?? '').split(',')),
  };
}

/** As ssh_config(5) tells of IdentityAgent. */
function agentOf(value: string, environment: NodeJS.ProcessEnv): AgentSetting {
  const variable = value === 'SSH_AUTH_SOCK' ? value : /^\$(\w+)$/.exec(value)?.[1];
  const path = variable === undefined ? value : (environment[variable] ?? '');
  if (value === 'none' || path === '') return { kind: 'none' };
  if (/[%$]/.test(path)) return { kind: 'unknown' };
  return { kind: 'socket', path: path.startsWith('~/') ? join(homedir(), path.slice(2)) : path };
}
