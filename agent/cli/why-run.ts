/** `countersign why`: what it does, and how it tells it. */
import { stateDirectoryPath } from '../state/state-directory.ts';
import { DoctorError } from '../user/doctor/doctor-error.ts';
import { examineLogin } from '../user/doctor/examine-login.ts';
import { formatText } from './doctor-run.ts';
import { EXIT_DONE, EXIT_FAILED } from './program.ts';
import type { WhyOptions } from './why.ts';

/** @returns exit status: 0 when ssh gets in @throws DoctorError, StateError */
export async function runWhy(host: string, options: WhyOptions): Promise<number> {
  if (host.startsWith('-')) {
    throw new DoctorError('ssh-unusable', 'a host name does not begin with a hyphen', {
      advice: 'Give options of ssh in a file: --ssh-config FILE',
    });
  }
  const ssh = { program: options.ssh, configFile: options.sshConfig, environment: process.env };
  const stateDirectory = stateDirectoryPath(options.stateDir);
  const { connected, findings } = await examineLogin({ host, ssh, stateDirectory });
  const text =
    options.json === true ? formatJson(host, connected, findings) : formatText(findings, process.stdout.isTTY);
  process.stdout.write(text);
  return connected ? EXIT_DONE : EXIT_FAILED;
}

function formatJson(host: string, connected: boolean, findings: readonly unknown[]): string {
  return `${JSON.stringify({ host, connected, findings }, null, 2)}\n`;
}
