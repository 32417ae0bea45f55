/** A host that enrolled with the real CA program, on loopback, for tests of what comes after the enrolment. */
import { X509Certificate, hash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Certificate } from '#openssh/certificate.ts';
import { servedCertificate } from '#test/support/across-reload.ts';
import { type CaSettings, type RunningCa, makeCa } from '#test/support/ca.ts';
import { freePort } from '#test/support/free-port.ts';
import { type Lab, openLab } from '#test/support/lab.ts';
import { type HostKeyKind, type TestSshd, startSshd } from '#test/support/sshd.ts';
import { type AgentResult, loginConfig, runAgent } from './host-agent-fixture.ts';

export interface RenewalHost extends AsyncDisposable {
  readonly lab: Lab;
  readonly ca: RunningCa;
  readonly sshd: TestSshd;
  readonly name: string;
  readonly stateDirectory: string;
  /** The options that point the agent to this host. */
  readonly places: readonly string[];
  /** A private key that sshd lets its own user in with. */
  readonly identity: string;
  /** `countersign host COMMAND …` on this host. */
  host(command: string, ...args: string[]): Promise<AgentResult>;
  /** The certificates that sshd proves now, one for each of its keys. */
  served(): Promise<readonly (Certificate | undefined)[]>;
  /** State and head of the lineage of this host, by the CA's own words. */
  inventory(): Promise<HostInventory>;
}

export interface HostInventory {
  readonly lineage: { readonly lineage: string; readonly state: string; readonly head: string } | null;
  readonly report: {
    readonly serial: string;
    readonly trustedHostCas: readonly string[];
    readonly trustedUserCas: readonly string[];
    readonly krlNumber: string;
  } | null;
}

export interface RenewalHostOptions {
  readonly keys?: readonly HostKeyKind[];
  readonly settings?: CaSettings;
  /** More options for `countersign-ca init`. */
  readonly initOptions?: readonly string[];
  /** An ssh-agent holds the private keys. */
  readonly hostKeyAgent?: boolean;
}

const NAME = 'web1.lab.example';

export async function startRenewalHost(options: RenewalHostOptions = {}): Promise<RenewalHost> {
  const { keys = ['ed25519'], settings = {}, hostKeyAgent = false } = options;
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await openLab('loopback'));
  const allowed = ['--allow-name', '**.lab.example', '--allow-address', lab.network];
  const initOptions = [...allowed, ...(options.initOptions ?? [])];
  const made = await makeCa({
    within: lab.directory,
    port: await freePort(), // the same one when it serves again
    settings: [lab.caSettings, settings],
    initOptions,
    quick: true,
  });
  const ca = stack.use(await made.serve());
  const { addresses } = await lab.addMachine('web1');
  const authorized = join(lab.directory, 'authorized');
  const config = [...loginConfig, `AuthorizedKeysFile ${authorized}`];
  const sshd = stack.use(await startSshd({ addresses, port: lab.sshPort, keys, config, hostKeyAgent }));
  await lab.setZone({ [NAME]: addresses });
  const stateDirectory = join(lab.directory, 'state');
  const places = ['--sshd-config', sshd.configPath, '--state-dir', stateDirectory];
  const owned = stack.move();
  const host: RenewalHost = {
    lab,
    ca,
    sshd,
    name: NAME,
    stateDirectory,
    places,
    identity: await makeIdentity(lab.directory, authorized),
    host: async (command, ...args) => runAgent(['host', command, ...args, ...places]),
    served: async () =>
      Promise.all(sshd.hostKeys.map(async (key) => (await servedCertificate(sshd, key))?.certificate)),
    inventory: async () => {
      const [found] = await made.json<HostInventory[]>('hosts');
      if (found === undefined) throw new Error('the CA knows no host');
      return found;
    },
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
  await enrol(host);
  return host;
}

async function makeIdentity(directory: string, authorized: string): Promise<string> {
  const path = join(directory, 'identity');
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
  await writeFile(authorized, await readFile(`${path}.pub`));
  return path;
}

async function enrol(host: RenewalHost): Promise<void> {
  const { ca, sshd, stateDirectory } = host;
  const fingerprint = hash('sha256', new X509Certificate(await ca.ca.rootPem()).raw, 'hex');
  const trust = ['--ca', ca.url, '--fingerprint', fingerprint, '--state-dir', stateDirectory];
  const results = [
    await runAgent(['bootstrap', ...trust]),
    await host.host('enroll', '--all-keys', '--name', NAME, '--ip', sshd.address),
  ];
  for (const { status, stderr } of results) if (status !== 0) throw new Error(stderr);
}

export function serialOf(certificate: Certificate | undefined): string {
  return String(certificate?.serial);
}
