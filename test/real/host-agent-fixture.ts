/** A host with a real sshd, a CA for tests that the host trusts, and the agent's program to run on it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { CertificateSummary } from '#agent/cli/certificate-text.ts';
import type { ServedHostKey } from '#agent/host/key-exchange.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { formatPublicKeyLine, publicKeyFromObject } from '#openssh/public-key.ts';
import { servedCertificate, servedKey } from '#test/support/across-reload.ts';
import { type FakeCa, type FakeCaOptions, startFakeCa } from '#test/support/fake-ca.ts';
import { agentProgram } from '#test/support/programs.ts';
import { type SshdOptions, type TestHostKey, type TestSshd, startSshd } from '#test/support/sshd.ts';

/** Node keeps what it compiled: the tests start the agent some hundred times. */
export const quickStart = { NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/compile') };

export interface AgentResult {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** The stable code of the failure that stderr tells of. */
  readonly code: string | undefined;
}

export interface TestHost extends AsyncDisposable {
  readonly sshd: TestSshd;
  readonly ca: FakeCa;
  readonly stateDirectory: string;
  /** Where files of one test may go. */
  readonly scratch: string;
  /** The options that point the agent to this host. */
  readonly places: readonly string[];
  /** `countersign host COMMAND …` on this host. */
  host(command: string, ...args: string[]): Promise<AgentResult>;
  /** `countersign host enroll` for localhost, as most tests want it. */
  enroll(...args: string[]): Promise<AgentResult>;
  /** What sshd proves for this key: its certificate, or undefined when it has none. */
  servedCertificate(key?: TestHostKey): Promise<ServedHostKey | undefined>;
  /** The fingerprint of the plain key that sshd proves: it answers. */
  servedKey(key?: TestHostKey): Promise<Fingerprint | undefined>;
}

export interface EnrolledReport {
  readonly keys: readonly (CertificateSummary & { readonly path: string; readonly reused: boolean })[];
  readonly changed: boolean;
  readonly userTrust: string | null;
  readonly remarks: readonly string[];
}

export async function startHost(options: { sshd?: SshdOptions; ca?: FakeCaOptions } = {}): Promise<TestHost> {
  await using stack = new AsyncDisposableStack();
  const scratch = await mkdtemp(join(tmpdir(), 'countersign-host-'));
  stack.defer(async () => rm(scratch, { recursive: true, force: true }));
  const sshd = stack.use(await startSshd(options.sshd));
  const ca = stack.use(await startFakeCa(options.ca));
  const stateDirectory = join(scratch, 'state');
  const places = ['--sshd-config', sshd.configPath, '--state-dir', stateDirectory];
  const owned = stack.move();
  const host = async (command: string, ...args: string[]) => runAgent(['host', command, ...args, ...places]);
  const test: TestHost = {
    sshd,
    ca,
    stateDirectory,
    scratch,
    places,
    host,
    enroll: async (...args) => host('enroll', '--name', 'localhost', '--ip', sshd.address, ...args),
    servedCertificate: async (key) => servedCertificate(sshd, key),
    servedKey: async (key) => {
      const served = await servedKey(sshd, key);
      return served === undefined ? undefined : fingerprintOf(served.blob);
    },
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
  await bootstrap(test);
  return test;
}

export async function bootstrap({ ca, stateDirectory }: TestHost): Promise<void> {
  const args = ['bootstrap', '--ca', ca.url, '--fingerprint', ca.fingerprint, '--state-dir', stateDirectory];
  const { status, stderr } = await runAgent(args);
  if (status !== 0) throw new Error(`bootstrap failed:\n${stderr}`);
}

/** Runs the agent to its end. @param wrap a command line to run it under */
export async function runAgent(args: readonly string[], wrap: readonly string[] = []): Promise<AgentResult> {
  const [file, ...rest] = [...wrap, ...agentProgram(), ...args];
  if (file === undefined) throw new TypeError('no program');
  const { exitCode, stdout, stderr } = await execa(file, rest, { reject: false, stdin: 'ignore', env: quickStart });
  return { status: exitCode, stdout, stderr, code: /\[([a-z-]+)\]$/m.exec(stderr)?.[1] };
}

/** A known_hosts file that trusts the host CA and nothing else. */
export async function writeKnownHosts({ ca, scratch }: TestHost): Promise<string> {
  const path = join(scratch, 'known_hosts');
  await writeFile(path, `@cert-authority * ${formatPublicKeyLine(publicKeyFromObject(ca.hostCa))}\n`);
  return path;
}

/** `ssh localhost COMMAND` with no configuration of the machine it runs on. */
export async function ssh(
  { sshd }: TestHost,
  knownHosts: string,
  options: readonly string[],
  command: readonly string[],
) {
  const fixed = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${knownHosts}`,
    'GlobalKnownHostsFile=none',
  ];
  const given = [...fixed, ...options].flatMap((option) => ['-o', option]);
  const args = ['-F', 'none', ...given, '-p', String(sshd.port), `${userInfo().username}@localhost`, ...command];
  return execa('ssh', args, { reject: false, stdin: 'ignore' });
}

/** Lines for sshd_config that let the user of the tests log in whatever /etc says. */
export const loginConfig = ['PermitRootLogin yes', 'StrictModes no', 'PasswordAuthentication no'];
