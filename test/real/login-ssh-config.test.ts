/** `countersign ssh-config` as a program: what ssh itself reads from it, and that it can be taken away. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { encodeBase64 } from '#openssh/base64.ts';
import { fetchState } from '#agent/control/control-client.ts';
import { parseCertificateLine } from '#agent/host/certificate-file.ts';
import { controlSocketOf } from '#agent/user/socket-path.ts';
import { matchPatternList } from '#openssh/host-pattern.ts';
import { parseKnownHosts } from '#openssh/known-hosts.ts';
import { decodeKrl } from '#openssh/krl.ts';
import { encodePublicKey, formatPublicKeyLine } from '#openssh/public-key.ts';
import { makeDirectory, makeKeyFile, startTestAgent } from './agent-fixture.ts';
import { runAgent } from './host-agent-fixture.ts';
import { type LoginStage, openLoginStage } from './login-fixture.ts';

let stage: LoginStage;

beforeAll(async () => {
  stage = await openLoginStage();
});
afterAll(async () => stage?.[Symbol.asyncDispose]());

async function settingsOf(config: string, host: string): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await execa('ssh', ['-G', '-F', config, host]);
  return new Map(stdout.split('\n').map((line) => [line.split(' ', 1)[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
}

it('ssh reads the agent, our known_hosts and the settings of the user; removed, all is as before', async () => {
  using directory = makeDirectory();
  const [config, socket] = [join(directory.path, 'config'), join(directory.path, 'agent.sock')];
  await writeFile(config, 'Host web\n  User alice\nHost *\n  Port 2222');
  const places = ['--ssh-dir', directory.path];
  const install = [
    'ssh-config',
    'install',
    ...places,
    ...stage.stateDirectory,
    '--socket',
    socket,
    '--hosts',
    '*.example.com',
  ];
  expect(await runAgent(install)).toMatchObject({ status: 0 });
  expect((await runAgent(install)).stdout).toBe('Nothing to change.');

  const settings = await settingsOf(config, 'web');
  const knownHosts = join(directory.path, 'countersign/known_hosts');
  expect(settings.get('identityagent')).toBe(socket);
  expect(settings.get('globalknownhostsfile')).toBe(`/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2 ${knownHosts}`);
  expect([settings.get('user'), settings.get('port')]).toEqual(['alice', '2222']);
  expect((await settingsOf(config, 'other')).get('identityagent')).toBe(socket);

  const [entry] = parseKnownHosts(await readFile(knownHosts)).flatMap((line) => line.entry ?? []);
  expect(entry?.marker).toBe('cert-authority');
  expect(matchPatternList('web.example.com', entry?.hosts ?? '')).toBe('yes');
  const pinned = (await stage.ca.ca.publicKeyLine('hostCaPublicKey')).split(' ').slice(0, 2).join(' ');
  expect(entry === undefined ? '' : formatPublicKeyLine(entry.key)).toBe(pinned);

  expect((await runAgent(['ssh-config', 'remove', ...places])).status).toBe(0);
  expect(await readFile(config, 'utf8')).toBe('Host web\n  User alice\nHost *\n  Port 2222');
});

it('print writes nothing', async () => {
  using directory = makeDirectory();
  const { stdout, status } = await runAgent([
    'ssh-config',
    'print',
    '--ssh-dir',
    directory.path,
    ...stage.stateDirectory,
  ]);
  expect(status).toBe(0);
  expect(stdout).toContain('@cert-authority * ssh-');
  expect((await execa('ls', ['-A', directory.path])).stdout).toBe('');
});

it('a sign-in after the CA changed both its keys is taken: their list was signed by a key that was pinned', async () => {
  const { ca } = stage.ca;
  const pinned = (await ca.publicKeyLine('userCaPublicKey')).split(' ')[1] ?? '';
  const passphrase = ['--passphrase-file', ca.passphraseFile];
  for (const type of ['host', 'user']) {
    await ca.run('rotate', 'start', '--type', type, ...passphrase);
    await ca.run('rotate', 'switch', '--type', type, '--force');
  }
  await using agent = await startTestAgent();
  const browser = await stage.browserOf('alice');
  let signers: string[] = [];
  // A server takes a step of a rotation within a second or so.
  for (let attempt = 0; attempt < 30 && (signers.length === 0 || signers.includes(pinned)); attempt += 1) {
    await using login = stage.startLogin(['--browser', browser], agent.env);
    await login.ended; // one that asked before the step and got its certificate after it is refused
    const { stdout } = await execa('ssh-add', ['-L'], { env: agent.env, reject: false });
    const held = stdout.split('\n').filter((line) => line.includes('-cert-v01@openssh.com '));
    signers = held.map((line) => {
      const key = parseCertificateLine(line).signatureKey;
      return encodeBase64(encodePublicKey(key));
    });
  }
  expect(signers).toHaveLength(1);
  expect(signers).not.toContain(pinned);
});

it(
  'the agent that ssh is told of brings it up to date when a certificate comes, and says so',
  { timeout: 300_000 },
  async () => {
    const [, stateDirectory = ''] = stage.stateDirectory;
    using directory = makeDirectory();
    const config = join(directory.path, 'agent.toml');
    await writeFile(config, `[sign-in]\nstate-dir = ${JSON.stringify(stateDirectory)}\n`);
    await using agent = await startTestAgent({ args: ['--config', config] });
    const sshDirectory = join(agent.directory, '.ssh');
    const install = ['ssh-config', 'install', '--ssh-dir', sshDirectory, '--socket', agent.socket];
    expect(await runAgent([...install, ...stage.stateDirectory])).toMatchObject({ status: 0 });
    const krlNumber = async () => decodeKrl(await readFile(join(sshDirectory, 'countersign/revoked_keys'))).number;
    const before = await krlNumber();
    await stage.ca.ca.run('revoke', '--key', `${await makeKeyFile(directory.path, 'lost')}.pub`);
    expect(await krlNumber()).toBe(before);

    await using login = stage.startLogin(['--browser', await stage.browserOf('alice')], agent.env);
    expect(await login.ended).toMatchObject({ code: 0 });
    const state = async () => (await fetchState(controlSocketOf(agent.socket))).sshConfig;
    const isTaken = async () => {
      expect(await krlNumber()).toBe(before + 1n);
      expect((await state())?.changedAt).toBeDefined();
    };
    await vi.waitFor(isTaken, { timeout: 60_000, interval: 200 });
    expect(await state()).toMatchObject({ remarks: [], refreshedAt: expect.any(Number) as number });
    const { stdout } = await runAgent(['status', '--socket', agent.socket]);
    expect(stdout).toMatch(/^Keys and revocations for ssh: the CA was asked .* ago, changed .* ago$/m);
  },
);

it('needs a CA that is trusted', async () => {
  using directory = makeDirectory();
  const args = ['ssh-config', 'install', '--ssh-dir', directory.path, '--state-dir', join(directory.path, 'none')];
  expect(await runAgent(args)).toMatchObject({ status: 1, code: 'not-bootstrapped' });
});
