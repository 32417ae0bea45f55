/**
 * `npm run demo`: the main job on one machine, with the embedded defaults and real OpenSSH. A CA starts; three real sshds prove their host
 * keys to it and get certificates; alice signs in at a real OpenID provider; `ssh` connects to each by name, and neither side asks anything.
 * `--signer yubihsm` has the CA's keys in a simulated YubiHSM.
 * Nothing outside a temporary directory is touched, no privileges are needed, and everything is gone afterwards.
 */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '#test/support/free-port.ts';
import { agentProgram, caProgram } from '#test/support/programs.ts';
import { DemoFailure, heading, indent, run, say, showCommand } from './narration.ts';
import { moveKeysIntoHsm } from './hsm.ts';
import { type DemoProvider, type SignedInUser, oidcSection, signInUser, startProvider } from './sign-in.ts';
import { DEMO_PRINCIPAL, type Stage, hosts, openStage, startCa, startSshd } from './stage.ts';

const options = parseArgs({ options: { signer: { type: 'string', default: 'file' } } }).values;
await using stack = new AsyncDisposableStack();
try {
  if (options.signer !== 'file' && options.signer !== 'yubihsm')
    throw new DemoFailure('--signer must be file or yubihsm');
  await play(await openStage(stack), options.signer);
} catch (error) {
  if (!(error instanceof DemoFailure)) throw error;
  process.stderr.write(`\nThe demo failed: ${error.message}\n`);
  process.exitCode = 1;
}

async function play(stage: Stage, signer: 'file' | 'yubihsm'): Promise<void> {
  const caDirectory = join(stage.directory, 'ca');
  const passphraseFile = join(stage.directory, 'passphrase');
  await writeFile(passphraseFile, randomBytes(24).toString('base64'), { mode: 0o600 });
  const provider = await startProvider(stage);
  const ca = await setUpCa(stage, caDirectory, passphraseFile, { signer, provider });
  await enrolHosts(stage, ca);
  await connectEverywhere(await signInUser(stage, ca, provider));
  heading('What the CA knows');
  await run({ program: caProgram(), name: 'countersign-ca', args: ['hosts', '--dir', caDirectory] });
  await run({ program: caProgram(), name: 'countersign-ca', args: ['audit', '--verify', '--dir', caDirectory] });
  heading('Done. Nothing of the demo is left behind.');
}

interface DemoCa {
  readonly url: string;
  readonly rootFingerprint: string;
}

async function setUpCa(
  stage: Stage,
  directory: string,
  passphraseFile: string,
  { signer, provider }: { readonly signer: 'file' | 'yubihsm'; readonly provider: DemoProvider },
): Promise<DemoCa> {
  heading('1. A CA, with its keys in encrypted files and SQLite as its store');
  const port = await freePort();
  const common = ['--dir', directory, '--passphrase-file', passphraseFile];
  await run({
    program: caProgram(),
    name: 'countersign-ca',
    args: [
      'init',
      ...common,
      '--name',
      'Demo',
      '--dns',
      'localhost',
      '--address',
      `127.0.0.1:${port}`,
      '--allow-name',
      '*.demo.internal',
      '--allow-user',
      DEMO_PRINCIPAL,
    ],
  });
  // What a demo on one machine needs beyond the defaults: loopback addresses, the port of its sshds, and its own name server.
  const config = join(directory, 'ca.toml');
  const text = (await readFile(config, 'utf8'))
    .replace('insecure_allow_loopback = false', 'insecure_allow_loopback = true')
    .replace('ports = [22]', `ports = [${stage.port}]`)
    .replace('servers = []', `servers = ["${stage.dnsServer}"]`);
  await writeFile(config, text + oidcSection(provider));
  if (signer === 'yubihsm') await moveKeysIntoHsm(stage, directory);
  showCommand(['countersign-ca', 'serve', ...common]);
  const serving = await startCa(['serve', ...common], stage);
  indent(`Serving at ${serving.url}`);
  return serving;
}

async function enrolHosts(
  stage: Stage,
  { url, rootFingerprint }: { url: string; rootFingerprint: string },
): Promise<void> {
  heading('2. Three hosts with a running sshd prove their host keys; no secret is carried to them');
  for (const host of hosts) {
    const { config, pid } = await startSshd(host, stage);
    say(`\n  ${host.name} (a real sshd at ${host.address}:${stage.port})`);
    const stateDirectory = join(stage.directory, host.name, 'state');
    const hidden = ['--state-dir', stateDirectory];
    await run({
      program: agentProgram(),
      name: 'countersign',
      args: ['bootstrap', '--ca', url, '--fingerprint', rootFingerprint],
      hidden,
      quiet: true,
    });
    await run({
      program: agentProgram(),
      name: 'countersign',
      args: ['host', 'enroll', '--name', host.name, '--ip', host.address],
      hidden: [...hidden, '--sshd-config', config, '--port', String(stage.port), '--reload', `kill -HUP ${pid}`],
    });
  }
}

async function connectEverywhere({ sshConfig }: SignedInUser): Promise<void> {
  heading('4. ssh to each host by name: no question, no password, no key copied');
  const hidden = ['-F', sshConfig, '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes'];
  const words = 'echo connected to the host with the key that the CA certified';
  for (const { name } of hosts) await run({ program: ['ssh'], name: 'ssh', args: [name, words], before: hidden });
}
