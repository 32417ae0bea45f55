/** `countersign doctor --user`: what a login from this machine needs. */
import { stateDirectoryPath } from '../state/state-directory.ts';
import { examineUser } from '../user/doctor/examine-login.ts';
import { formatText } from './doctor-run.ts';
import { EXIT_DONE, EXIT_FAILED } from './program.ts';

export interface UserDoctorOptions {
  readonly stateDir?: string;
  readonly json?: boolean;
}

/** @returns exit status: 1 when something fails @throws DoctorError, StateError */
export async function runUserDoctor({ stateDir, json }: UserDoctorOptions): Promise<number> {
  const ssh = { program: 'ssh', configFile: undefined, environment: process.env };
  const findings = await examineUser({ ssh, stateDirectory: stateDirectoryPath(stateDir) });
  process.stdout.write(
    json === true ? `${JSON.stringify(findings, null, 2)}\n` : formatText(findings, process.stdout.isTTY),
  );
  return findings.some(({ level }) => level === 'fail') ? EXIT_FAILED : EXIT_DONE;
}
