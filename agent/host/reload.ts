/**
 * Makes the running sshd read its configuration again: through systemd where systemd runs it, else with SIGHUP, else with the
 * command that was given. Never a restart: a reload that fails leaves sshd answering, a restart might not.
 */
import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { printable } from '../ca/foreign-text.ts';
import { systemErrorReason } from '../failure.ts';
import { HostError } from './host-error.ts';
import { type Listener, findListeners, processName } from './listener.ts';
import type { SshdSettings } from './sshd-settings.ts';

const COMMAND_TIMEOUT_MS = 60_000;
const SYSTEMD_RUNS = '/run/systemd/system';

export type ReloadMethod =
  | { readonly kind: 'command'; readonly command: readonly [string, ...string[]] }
  | { readonly kind: 'systemd'; readonly unit: string }
  | { readonly kind: 'signal'; readonly pid: number }
  /** Nothing runs that would have to read it again: each connection starts its own sshd. */
  | { readonly kind: 'none' };

/** @param command value of `--reload` @throws HostError `reload-failed` when no running sshd is found */
export async function findReloadMethod(settings: SshdSettings, command?: string): Promise<ReloadMethod> {
  if (command !== undefined) return { kind: 'command', command: splitCommand(command) };
  const listeners = await findListeners(settings.endpoints);
  const sshd = listeners.find(({ name }) => name === 'sshd') ?? (await listenerOfPidFile(settings.pidFile));
  if (sshd !== undefined) return methodFor(sshd);
  if (listeners.some(({ name }) => name === 'systemd')) return { kind: 'none' };
  const other = listeners[0];
  const why =
    other === undefined
      ? `no process of this machine is seen to listen on port ${settings.ports.join(', ')}`
      : `${printable(other.name, 32)} listens on port ${settings.ports.join(', ')}, not sshd`;
  throw new HostError('reload-failed', `the running sshd was not found: ${why}`, {
    advice:
      'Start sshd, or say how to reload it, for example --reload "systemctl reload sshd". Run as root to see every process.',
  });
}

/** @throws HostError `reload-failed` */
export async function reloadSshd(method: ReloadMethod): Promise<void> {
  switch (method.kind) {
    case 'command':
      return runCommand(method.command);
    case 'systemd':
      return runCommand(['systemctl', 'reload', method.unit]);
    case 'signal':
      return sendHangUp(method.pid);
    case 'none':
      return;
  }
}

/** For people: what will be done. */
export function describeReload(method: ReloadMethod): string {
  switch (method.kind) {
    case 'command':
      return method.command.join(' ');
    case 'systemd':
      return `systemctl reload ${method.unit}`;
    case 'signal':
      return `SIGHUP to sshd, process ${method.pid}`;
    case 'none':
      return 'not needed: systemd starts an sshd for each connection';
  }
}

async function methodFor({ pid, unit }: Listener): Promise<ReloadMethod> {
  const managed =
    unit !== undefined &&
    (await access(SYSTEMD_RUNS).then(
      () => true,
      () => false,
    ));
  // A transient scope or another service that happens to hold an sshd is not reloaded as a whole.
  return managed && /^(ssh|sshd)(@.*)?\.service$/.test(unit) ? { kind: 'systemd', unit } : { kind: 'signal', pid };
}

async function listenerOfPidFile(path: string | undefined): Promise<Listener | undefined> {
  const text = path === undefined ? '' : await readFile(path, 'utf8').catch(() => '');
  const pid = /^\d{1,9}\s*$/.test(text) ? Number(text) : 0;
  return pid > 1 && (await processName(pid)) === 'sshd' ? { pid, name: 'sshd', unit: undefined } : undefined;
}

function splitCommand(text: string): [string, ...string[]] {
  const [program, ...args] = text.trim().split(/\s+/);
  if (program === undefined || program === '') throw new HostError('reload-failed', '--reload names no command');
  return [program, ...args];
}

function sendHangUp(pid: number): void {
  try {
    process.kill(pid, 'SIGHUP');
  } catch (cause) {
    throw new HostError(
      'reload-failed',
      `sshd (process ${pid}) cannot be told to reload: ${systemErrorReason(cause)}`,
      {
        cause,
        advice: 'Run as root.',
      },
    );
  }
}

async function runCommand([program, ...args]: readonly [string, ...string[]]): Promise<void> {
  await new Promise<void>((done, fail) => {
    execFile(program, args, { timeout: COMMAND_TIMEOUT_MS }, (error, _stdout, stderr) => {
      if (error === null) return done();
      const why = printable(stderr.trim().split('\n').at(-1) ?? '', 300) || 'it failed without a word';
      const words = `sshd was not reloaded: ${[program, ...args].join(' ')}: ${why}`;
      fail(
        new HostError('reload-failed', words, {
          cause: error,
          advice: 'See the log of sshd: journalctl -u ssh -u sshd',
        }),
      );
    });
  });
}
