/** How the running sshd is made to read its configuration again. Pure: who listens and whether systemd runs comes in. */
import { printable } from '../ca/foreign-text.ts';
import { HostError } from './host-error.ts';
import type { Listener } from './listener.ts';

export type ReloadMethod =
  | { readonly kind: 'command'; readonly command: readonly [string, ...string[]] }
  | { readonly kind: 'systemd'; readonly unit: string }
  | { readonly kind: 'signal'; readonly pid: number }
  /** Nothing runs that would have to read it again: each connection starts its own sshd. */
  | { readonly kind: 'none' };

export interface ReloadFacts {
  /** Value of `--reload`. */
  readonly command: string | undefined;
  /** Every process that holds one of sshd's listening sockets. */
  readonly listeners: readonly Listener[];
  /** The sshd that the PID file names, if it is one. */
  readonly fromPidFile: Listener | undefined;
  readonly systemdRuns: boolean;
  readonly ports: readonly number[];
}

/** @throws HostError `reload-failed` when no running sshd is found */
export function chooseReload(facts: ReloadFacts): ReloadMethod {
  if (facts.command !== undefined) return { kind: 'command', command: splitCommand(facts.command) };
  const sshd = facts.listeners.find(({ name }) => name === 'sshd') ?? facts.fromPidFile;
  if (sshd !== undefined) return methodFor(sshd, facts.systemdRuns);
  if (facts.listeners.some(({ name }) => name === 'systemd')) return { kind: 'none' };
  throw notFound(facts);
}

/** A unit of another name may hold more than an sshd, and is not reloaded as a whole. */
function methodFor({ pid, unit }: Listener, systemdRuns: boolean): ReloadMethod {
  const managed = systemdRuns && unit !== undefined && /^sshd?\.service$/.test(unit);
  return managed ? { kind: 'systemd', unit } : { kind: 'signal', pid };
}

function splitCommand(text: string): [string, ...string[]] {
  const [program, ...args] = text.trim().split(/\s+/);
  if (program === undefined || program === '') throw new HostError('reload-failed', '--reload names no command');
  return [program, ...args];
}

function notFound({ listeners, ports }: ReloadFacts): HostError {
  const [other] = listeners;
  const where = `port ${ports.join(', ')}`;
  const why =
    other === undefined
      ? `no process of this machine is seen to listen on ${where}`
      : `${printable(other.name, 32)} listens on ${where}, not sshd`;
  return new HostError('reload-failed', `the running sshd was not found: ${why}`, {
    advice:
      'Start sshd, or say how to reload it, for example --reload "systemctl reload sshd". Run as root to see every process.',
  });
}
