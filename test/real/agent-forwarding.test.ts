/** Agent forwarding over two real sshd, with destination constraints that ssh-add made: what holds at each hop. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type TestSshd, startSshd } from '../support/sshd.ts';
import { type TestAgent, makeDirectory, makeKeyFile, startTestAgent } from './agent-fixture.ts';

const user = userInfo().username;
const directory = makeDirectory();
const file = (name: string): string => join(directory.path, name);
let dispose = (): Promise<void> => Promise.resolve();
let agent: TestAgent;
let key: string;

beforeAll(async () => {
  await using stack = new AsyncDisposableStack();
  stack.use(directory);
  agent = stack.use(await startTestAgent());
  key = await makeKeyFile(directory.path, 'key');
  await writeFile(file('authorized_keys'), await readFile(`${key}.pub`, 'utf8'), { mode: 0o600 });
  const config = [
    `AuthorizedKeysFile ${file('authorized_keys')}`,
    'StrictModes no',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
  ];
  const [jump, inner] = [stack.use(await startSshd({ config })), stack.use(await startSshd({ config }))];
  const ca = await makeKeyFile(directory.path, 'host-ca');
  await certify(ca, inner);
  await writeClientConfig(jump, inner, ca);
  const owned = stack.move();
  dispose = () => owned.disposeAsync();
});
afterAll(() => dispose());
beforeEach(() => execa('ssh-add', ['-q', '-D'], { env: agent.env }));

/** The inner host shows a certificate, the jump host its plain key. */
async function certify(ca: string, sshd: TestSshd): Promise<void> {
  const hostKey = sshd.hostKeys[0]?.path ?? '';
  await execa('ssh-keygen', ['-q', '-s', ca, '-h', '-I', 'inner', '-n', 'inner', '-V', '+1h', `${hostKey}.pub`]);
  await writeFile(join(sshd.dropInDirectory, 'cert.conf'), `HostCertificate ${hostKey}-cert.pub\n`);
  await sshd.reload();
}

async function writeClientConfig(jump: TestSshd, inner: TestSshd, ca: string): Promise<void> {
  const publicKey = async (path: string): Promise<string> => (await readFile(`${path}.pub`, 'utf8')).trim();
  await mkdir(file('ssh'), { recursive: true });
  const known = [
    `jump ${await publicKey(jump.hostKeys[0]?.path ?? '')}`,
    `@cert-authority inner ${await publicKey(ca)}`,
    '',
  ];
  await writeFile(file('known_hosts'), known.join('\n'));
  const host = (name: string, sshd: TestSshd): string =>
    `Host ${name}\n  Hostname ${sshd.address}\n  Port ${sshd.port}\n  HostKeyAlias ${name}\n`;
  const common = [
    `UserKnownHostsFile ${file('known_hosts')}`,
    'GlobalKnownHostsFile none',
    'StrictHostKeyChecking yes',
    'BatchMode yes',
    'ForwardAgent yes',
    `User ${user}`,
    'IdentityFile none',
    'PreferredAuthentications publickey',
    'LogLevel ERROR',
  ];
  await writeFile(file('config'), `${host('jump', jump)}${host('inner', inner)}Host *\n  ${common.join('\n  ')}\n`);
}

const add = (...constraints: string[]) =>
  execa('ssh-add', ['-q', '-H', file('known_hosts'), ...constraints.flatMap((each) => ['-h', each]), key], {
    env: agent.env,
  });
const ssh = (host: string, ...command: string[]) =>
  execa('ssh', ['-F', file('config'), host, ...command], { env: agent.env, reject: false, timeout: 100_000 });
const sshFromJump = (command: string) => ssh('jump', `ssh -F ${file('config')} inner '${command}'`);

test('an unconstrained key goes everywhere', async () => {
  await add();
  expect((await sshFromJump('echo in')).stdout).toBe('in');
});

test('a key for the chain goes the whole way: first hop by host key, second by host CA', async () => {
  await add('jump', 'jump>inner');
  expect((await ssh('jump', 'echo at jump')).stdout).toBe('at jump');
  expect((await sshFromJump('echo in')).stdout).toBe('in');
});

test('a key for the jump host alone is neither seen nor used beyond it', async () => {
  await add('jump');
  expect((await ssh('jump', 'ssh-add -l')).stdout).toContain('no identities');
  expect((await sshFromJump('echo in')).exitCode).not.toBe(0);
});

test('a key for the inner host from here does not go there through the jump host', async () => {
  await add('jump', 'inner');
  expect((await ssh('inner', 'echo in')).stdout).toBe('in');
  expect((await sshFromJump('echo in')).exitCode).not.toBe(0);
});

test('the user at the last hop counts', async () => {
  await add('jump', `jump>${user.slice(0, 2)}*@inner`);
  expect((await sshFromJump('echo in')).stdout).toBe('in');
  await execa('ssh-add', ['-q', '-D'], { env: agent.env });
  await add('jump', 'jump>somebody-else@inner');
  expect((await sshFromJump('echo in')).exitCode).not.toBe(0);
});

test('a constrained key signs no file, neither here nor there', async () => {
  await add('jump', 'jump>inner');
  const sign = ['-Y', 'sign', '-f', `${key}.pub`, '-n', 'file'];
  expect((await execa('ssh-keygen', sign, { env: agent.env, input: 'x', reject: false })).exitCode).not.toBe(0);
  const there = await ssh('jump', `echo x | ssh-keygen ${sign.join(' ')}`);
  expect(there.exitCode).not.toBe(0);
});

test('a question about a forwarded use says so, and names the proven host', async () => {
  const askpass = file('askpass');
  await writeFile(askpass, `#!/bin/sh\nprintf '%s' "$1" > ${file('asked')}\nexit 0\n`, { mode: 0o755 });
  await using asking = await startTestAgent({ env: { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' } });
  await execa('ssh-add', ['-q', '-c', key], { env: asking.env });
  const command = ['-F', file('config'), 'jump', `ssh -F ${file('config')} inner echo in`];
  expect((await execa('ssh', command, { env: asking.env })).stdout).toBe('in');
  const asked = await readFile(file('asked'), 'utf8');
  expect(asked).toContain(`to log in as ${user} on inner?`);
  expect(asked).toContain('through agent forwarding');
});
