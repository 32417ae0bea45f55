/** `countersign ssh-config` as a program: what ssh itself reads from it, and that it can be taken away. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { matchPatternList } from '#openssh/host-pattern.ts';
import { parseKnownHosts } from '#openssh/known-hosts.ts';
import { formatPublicKeyLine } from '#openssh/public-key.ts';
import { makeDirectory } from './agent-fixture.ts';
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

it('needs a CA that is trusted', async () => {
  using directory = makeDirectory();
  const args = ['ssh-config', 'install', '--ssh-dir', directory.path, '--state-dir', join(directory.path, 'none')];
  expect(await runAgent(args)).toMatchObject({ status: 1, code: 'not-bootstrapped' });
});
