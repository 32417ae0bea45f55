/**
 * `npm run demo`: the main job on one machine, with the embedded defaults and real OpenSSH. A CA starts; three real sshds prove their host
 * keys to it and get certificates; `ssh` connects to each by name without a question about host keys, with a user certificate.
 * `--signer yubihsm` has the CA's keys in a simulated YubiHSM.
 * Nothing outside a temporary directory is touched, no privileges are needed, and everything is gone afterwards.
 */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Agent, request } from 'undici';
import { parsePublicKeyLine } from '#openssh/public-key.ts';
import { encodeBase64 } from '#openssh/base64.ts';
import { agentProgram, caProgram } from '#test/support/programs.ts';
import { DemoFailure, heading, indent, run, say, showCommand } from './narration.ts';
import { moveKeysIntoHsm } from './hsm.ts';
import { DEMO_PRINCIPAL, type Stage, freePort, hosts, openStage, startCa, startSshd } from './stage.ts';

/** What the user's certificate says; the sshds of the demo let it log in as whoever runs the demo. */
const user = DEMO_PRINCIPAL;
const ssh = ['ssh'] as const;

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
  const ca = await setUpCa(stage, caDirectory, passphraseFile, signer);
  await enrolHosts(stage, ca);
  const identity = await certifyUser(stage, caDirectory, passphraseFile, ca.url);
  await connectEverywhere(stage, ca.hostCa, identity);
  heading('What the CA knows');
  await run({ program: caProgram(), name: 'countersign-ca', args: ['hosts', '--dir', caDirectory] });
  await run({ program: caProgram(), name: 'countersign-ca', args: ['audit', '--verify', '--dir', caDirectory] });
  heading('Done. Nothing of the demo is left behind.');
}

interface DemoCa {
  readonly url: string;
  readonly rootFingerprint: string;
  /** The public key line that clients trust. */
  readonly hostCa: string;
}

async function setUpCa(
  stage: Stage,
  directory: string,
  passphraseFile: string,
  signer: 'file' | 'yubihsm',
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
      user,
    ],
  });
  // What a demo on one machine needs beyond the defaults: loopback addresses, the port of its sshds, and its own name server.
  const config = join(directory, 'ca.toml');
  const text = (await readFile(config, 'utf8'))
    .replace('insecure_allow_loopback = false', 'insecure_allow_loopback = true')
    .replace('ports = [22]', `ports = [${stage.port}]`)
    .replace('servers = []', `servers = ["${stage.dnsServer}"]`);
  await writeFile(config, text);
  const inFile = async (): Promise<string> =>
    (await readFile(join(directory, 'certs', 'ssh_host_ca.pub'), 'utf8')).trim();
  const hostCa = signer === 'yubihsm' ? await moveKeysIntoHsm(stage, directory) : await inFile();
  showCommand(['countersign-ca', 'serve', ...common]);
  const serving = await startCa(['serve', ...common], stage);
  indent(`Serving at ${serving.url}`);
  return { ...serving, hostCa };
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

/** What `countersign login` will do with OpenID: here an administrator vouches for the user with a one-time token. */
async function certifyUser(stage: Stage, directory: string, passphraseFile: string, url: string): Promise<string> {
  heading('3. A user certificate, from a one-time token');
  const identity = join(stage.directory, 'id_ed25519');
  await run({ program: ['ssh-keygen'], name: 'ssh-keygen', args: ['-q', '-t', 'ed25519', '-N', '', '-f', identity] });
  const ott = await run({
    program: caProgram(),
    name: 'countersign-ca',
    args: ['token', '--dir', directory, '--user', user, '--not-after', '1h', '--passphrase-file', passphraseFile],
    quiet: true,
  });
  const { blob } = parsePublicKeyLine(await readFile(`${identity}.pub`, 'utf8'));
  const root = await readFile(join(directory, 'certs', 'root_ca.crt'), 'utf8');
  await using agent = disposable(new Agent({ connect: { ca: root } }));
  const reply = await request(`${url}/ssh/sign`, {
    method: 'POST',
    dispatcher: agent.value,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ publicKey: encodeBase64(blob), ott: ott.trim(), certType: 'user' }),
  });
  const { crt, message } = (await reply.body.json()) as { crt?: string; message?: string };
  if (crt === undefined) throw new DemoFailure(`the CA refused the user certificate: ${message ?? ''}`);
  await writeFile(`${identity}-cert.pub`, `ssh-ed25519-cert-v01@openssh.com ${crt} ${user}\n`);
  await run({ program: ['ssh-keygen'], name: 'ssh-keygen', args: ['-L', '-f', `${identity}-cert.pub`] });
  return identity;
}

async function connectEverywhere(stage: Stage, hostCa: string, identity: string): Promise<void> {
  heading('4. ssh to each host by name: one @cert-authority line, no question, no key copied');
  const knownHosts = join(stage.directory, 'known_hosts');
  await writeFile(knownHosts, `@cert-authority *.demo.internal ${hostCa}\n`);
  indent(`${knownHosts} holds: @cert-authority *.demo.internal ${hostCa}`);
  for (const { name, address } of hosts) {
    const options = [
      'BatchMode=yes',
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile=${knownHosts}`,
      'GlobalKnownHostsFile=none',
      `HostKeyAlias=${name}`,
    ];
    const hidden = [...options, 'IdentityAgent=none', 'IdentitiesOnly=yes', `IdentityFile=${identity}`].flatMap(
      (option) => ['-o', option],
    );
    // The demo's names exist in its own name server only, so ssh is told the address; the certificate is checked for the name.
    showCommand(['ssh', name, 'echo connected to the host with the key that the CA certified']);
    await runHidden([
      '-F',
      'none',
      ...hidden,
      '-p',
      String(stage.port),
      address,
      'echo connected to the host with the key that the CA certified',
    ]);
  }
}

async function runHidden(args: readonly string[]): Promise<void> {
  const { execa } = await import('execa');
  const result = await execa(ssh[0], [...args], { all: true, reject: false, stdin: 'ignore' });
  indent(result.all);
  if (result.exitCode !== 0) throw new DemoFailure('ssh could not connect');
}

function disposable(value: Agent): { readonly value: Agent } & AsyncDisposable {
  return { value, [Symbol.asyncDispose]: async () => value.close() };
}
