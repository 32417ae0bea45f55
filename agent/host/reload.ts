/**
 * Makes the running sshd read its configuration again: through systemd where systemd runs it, else with SIGHUP, else with the
 * command that was given. Never a restart: a reload that fails leaves sshd answering, a restart might not.
 */
import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { printable } from '../ca/foreign-text.ts';
import { acrossRestart, sendHangUp } from './hang-up.ts';
import { HostError } from './host-error.ts';
import { type Listener, findListeners, processName } from './listener.ts';
import { type ReloadFacts, type ReloadMethod, chooseReload } from './reload-choice.ts';
import type { SshdSettings } from './sshd-settings.ts';

const COMMAND_TIMEOUT_MS = 60_000;
const SYSTEMD_RUNS = '/run/systemd/system';

/** @param command value of `--reload` @throws HostError `reload-failed` when no running sshd is found */
export async function findReloadMethod(settings: SshdSettings, command?: string): Promise<ReloadMethod> {
  const systemdRuns = await access(SYSTEMD_RUNS).then(
    () => true,
    () => false,
  );
  const found = await acrossRestart(
    async () => findRunning(settings),
    ({ listeners, fromPidFile }) => command !== undefined || listeners.length > 0 || fromPidFile !== undefined,
  );
  return chooseReload({ command, ...found, systemdRuns, ports: settings.ports });
}

async function findRunning({
  endpoints,
  pidFile,
}: SshdSettings): Promise<Pick<ReloadFacts, 'listeners' | 'fromPidFile'>> {
  const [listeners, fromPidFile] = await Promise.all([findListeners(endpoints), listenerOfPidFile(pidFile)]);
  return { listeners, fromPidFile };
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

async function listenerOfPidFile(path: string | undefined): Promise<Listener | undefined> {
  const text = path === undefined ? '' : await readFile(path, 'utf8').catch(() => '');
  const pid = /^\d{1,9}\s*$/.test(text) ? Number(text) : 0;
  return pid > 1 && (await processName(pid)) === 'sshd' ? { pid, name: 'sshd', unit: undefined } : undefined;
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
