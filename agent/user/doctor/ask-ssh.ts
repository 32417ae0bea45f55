/** Runs ssh for `countersign why`: once to print what it would do, once to try. No shell, no terminal, nothing of the user's forwarded. */
import { execFile } from 'node:child_process';
import { systemErrorCode, systemErrorReason } from '../../failure.ts';
import { DoctorError } from './doctor-error.ts';

/** ssh gives up sooner by itself: `ConnectTimeout` for the network, and this for what a host can do to it. */
const LIMIT_MS = 60_000;
const CONNECT_SECONDS = 15;
const MAX_OUTPUT = 4 * 1024 * 1024;

export interface SshProgram {
  readonly program: string;
  /** `-F FILE`, for people who keep their configuration elsewhere. */
  readonly configFile: string | undefined;
  readonly environment: NodeJS.ProcessEnv;
}

export interface SshRun {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** `ssh -G`. @throws DoctorError `ssh-unusable` */
export async function printSettings(ssh: SshProgram, host: string): Promise<string> {
  const run = await runSsh(ssh, ['-G', '--', host]);
  if (run.exitCode === 0) return run.stdout;
  throw new DoctorError('ssh-unusable', 'ssh does not read its configuration', {
    advice: `See what it says: ssh -G ${host}`,
  });
}

/**
 * `ssh -v HOST true`, which asks nothing and leaves nothing.
 * @param usesAgent false: as far as the host's key, and no further with the agent @throws DoctorError `ssh-unusable`
 */
export async function tryLogin(ssh: SshProgram, host: string, usesAgent: boolean): Promise<SshRun> {
  const options = {
    BatchMode: 'yes',
    ConnectTimeout: String(CONNECT_SECONDS),
    ControlMaster: 'no',
    ControlPath: 'none', // a connection that is open already would answer in place of the login
    ClearAllForwardings: 'yes',
    ForwardAgent: 'no',
    ForwardX11: 'no',
    PermitLocalCommand: 'no',
    RemoteCommand: 'none',
    RequestTTY: 'no',
    LogLevel: 'DEBUG1',
    ...(usesAgent ? {} : { IdentityAgent: 'none' }),
  };
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return runSsh(ssh, [...words, '--', host, 'true']);
}

async function runSsh({ program, configFile, environment }: SshProgram, args: readonly string[]): Promise<SshRun> {
  const argv = [...(configFile === undefined ? [] : ['-F', configFile]), ...args];
  const env = { ...environment, LC_ALL: 'C', SSH_ASKPASS_REQUIRE: 'never' };
  const done = Promise.withResolvers<SshRun>();
  const options = { env, timeout: LIMIT_MS, maxBuffer: MAX_OUTPUT, killSignal: 'SIGKILL' as const };
  const child = execFile(program, argv, options, (error, stdout, stderr) => {
    if (systemErrorCode(error) !== undefined && child.pid === undefined) done.reject(notStarted(program, error));
    else done.resolve({ exitCode: child.exitCode ?? undefined, stdout, stderr });
  });
  child.stdin?.end();
  return done.promise;
}

function notStarted(program: string, cause: unknown): DoctorError {
  return new DoctorError('ssh-unusable', `${program} does not start: ${systemErrorReason(cause)}`, {
    advice: 'Install OpenSSH, or name its ssh with --ssh.',
    cause,
  });
}
