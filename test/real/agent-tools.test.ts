/** The programs that people use with an agent: ssh, ssh-add, ssh-keygen, git, plink, and Node's ssh2. */
import { readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { Client as Ssh2Client } from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestSshd, startSshd } from '../support/sshd.ts';
import { type TestAgent, makeKeyFile, startTestAgent } from './agent-fixture.ts';

const user = userInfo().username;
const keyTypes = [
  ['ed25519', undefined],
  ['ecdsa', 256],
  ['ecdsa', 384],
  ['ecdsa', 521],
  ['rsa', 3072],
] as const;

let agent: TestAgent;
let sshd: TestSshd;
/** Private key files; the agent holds all of them, each with a certificate. */
const keys: string[] = [];

beforeAll(async () => {
  await using stack = new AsyncDisposableStack();
  agent = stack.use(await startTestAgent());
  const ca = await makeKeyFile(agent.directory, 'ca');
  for (const [type, bits] of keyTypes) {
    const key = await makeKeyFile(agent.directory, `${type}-${bits ?? ''}`, type, bits);
    await execa('ssh-keygen', ['-q', '-s', ca, '-I', `id ${type}`, '-n', user, '-V', '+1h', `${key}.pub`]);
    await execa('ssh-add', ['-q', key], { env: agent.env });
    keys.push(key);
  }
  const trusted = join(agent.directory, 'authorized_keys');
  const lines = await Promise.all(keys.map(async (key) => readFile(`${key}.pub`, 'utf8')));
  await writeFile(trusted, lines.join(''), { mode: 0o600 });
  sshd = stack.use(
    await startSshd({
      config: [
        `AuthorizedKeysFile ${trusted}`,
        `TrustedUserCAKeys ${ca}.pub`,
        'PermitRootLogin prohibit-password',
        'StrictModes no',
        'PasswordAuthentication no',
        'KbdInteractiveAuthentication no',
        'MaxAuthTries 30',
        'LogLevel VERBOSE',
      ],
    }),
  );
  const owned = stack.move();
  dispose = () => owned.disposeAsync();
});
let dispose = (): Promise<void> => Promise.resolve();
afterAll(() => dispose());

function sshArguments(...more: string[]): string[] {
  return [
    '-F',
    'none',
    '-p',
    String(sshd.port),
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'BatchMode=yes',
    '-o',
    'PreferredAuthentications=publickey',
    ...more,
    `${user}@${sshd.address}`,
  ];
}

/** What sshd said may be read later than what ssh said. */
async function untilLogged(from: number, words: RegExp): Promise<void> {
  await expect.poll(() => sshd.log().slice(from), { timeout: 60_000 }).toMatch(words);
}

describe('ssh', () => {
  test.each(keyTypes.map((_, index) => index))('logs in with key %d, plain and by its certificate', async (index) => {
    const key = keys[index] ?? '';
    for (const identity of [`${key}.pub`, `${key}-cert.pub`]) {
      const before = sshd.log().length;
      const run = await execa('ssh', [...sshArguments('-o', 'IdentitiesOnly=yes', '-i', identity), 'echo in'], {
        env: agent.env,
      });
      expect(run.stdout).toBe('in');
      await untilLogged(before, identity.includes('-cert') ? /Accepted publickey.*-CERT/ : /Accepted publickey/);
    }
  });

  test('a second login is offered first what the host took before', async () => {
    const last = keys.at(-1) ?? '';
    const accepted = (log: string): number =>
      (log.match(/Accepted publickey for \S+ from \S+ port \d+ ssh2: RSA SHA256:/g) ?? []).length;
    const start = sshd.log().length;
    await execa('ssh', [...sshArguments('-o', 'IdentitiesOnly=yes', '-i', `${last}.pub`), 'true'], { env: agent.env });
    await untilLogged(start, /Accepted publickey/);
    const before = sshd.log().length;
    await execa('ssh', [...sshArguments(), 'true'], { env: agent.env });
    await untilLogged(before, /Accepted publickey/);
    expect(accepted(sshd.log().slice(before))).toBe(1);
  });
});

describe('ssh-add', () => {
  test('lists, tests and removes keys and certificates', async () => {
    const listed = await execa('ssh-add', ['-l'], { env: agent.env });
    expect(listed.stdout.split('\n')).toHaveLength(2 * keys.length);
    // of RSA, ssh-add -T before OpenSSH 10 wants a SHA-1 signature, which this agent does not make
    const testable = keys.filter((key) => !key.includes('rsa')).map((key) => `${key}.pub`);
    expect((await execa('ssh-add', ['-T', ...testable], { env: agent.env })).exitCode).toBe(0);
    await execa('ssh-add', ['-q', '-d', keys[0] ?? ''], { env: agent.env });
    const fewer = await execa('ssh-add', ['-L'], { env: agent.env });
    expect(fewer.stdout).not.toContain('ssh-ed25519');
    await execa('ssh-add', ['-q', keys[0] ?? ''], { env: agent.env });
  });

  test('locks and unlocks with a passphrase', async () => {
    const askpass = join(agent.directory, 'askpass');
    const say = (word: string) => writeFile(askpass, `#!/bin/sh\necho ${word}\n`, { mode: 0o755 });
    const env = { ...agent.env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' };
    await say('secret');
    await execa('ssh-add', ['-x'], { env });
    expect((await execa('ssh-add', ['-l'], { env, reject: false })).stdout).toContain('no identities');
    await say('wrong');
    expect((await execa('ssh-add', ['-X'], { env, reject: false })).exitCode).toBe(1);
    await say('secret');
    await execa('ssh-add', ['-X'], { env });
    expect((await execa('ssh-add', ['-l'], { env })).stdout).toContain('ED25519');
  });

  test('cannot load PKCS#11 libraries', async () => {
    const run = await execa('ssh-add', ['-s', '/usr/lib/x86_64-linux-gnu/libc.so.6'], {
      env: agent.env,
      reject: false,
      input: '\n',
    });
    expect(run.exitCode).toBe(1);
  });
});

test.each(['sha256', 'sha512'])('ssh-keygen signs files with %s, and verifies them', async (hash) => {
  const signers = join(agent.directory, 'signers');
  for (const key of keys) {
    const publicKey = await readFile(`${key}.pub`, 'utf8');
    await writeFile(signers, `me ${publicKey}`);
    const signed = await execa(
      'ssh-keygen',
      ['-Y', 'sign', '-f', `${key}.pub`, '-n', 'file', '-O', `hashalg=${hash}`],
      { env: agent.env, input: 'text' },
    );
    await writeFile(join(agent.directory, 'sig'), `${signed.stdout}\n`);
    const verify = ['-Y', 'verify', '-f', signers, '-I', 'me', '-n', 'file', '-s', join(agent.directory, 'sig')];
    expect((await execa('ssh-keygen', verify, { input: 'text' })).stdout).toContain('Good "file" signature');
    expect((await execa('ssh-keygen', verify, { input: 'other', reject: false })).exitCode).not.toBe(0);
  }
});

test('git signs and verifies commits', async () => {
  const directory = join(agent.directory, 'repository');
  const signers = join(agent.directory, 'git-signers');
  await writeFile(signers, `me@example.org ${await readFile(`${keys[0] ?? ''}.pub`, 'utf8')}`);
  const settings = [
    'user.name=Me',
    'user.email=me@example.org',
    'gpg.format=ssh',
    `user.signingkey=${keys[0] ?? ''}.pub`,
    `gpg.ssh.allowedSignersFile=${signers}`,
  ];
  const git = (...args: string[]) =>
    execa('git', ['-C', directory, ...settings.flatMap((each) => ['-c', each]), ...args], { env: agent.env });
  await execa('git', ['init', '-q', directory]);
  await git('commit', '-q', '--allow-empty', '-S', '-m', 'signed');
  expect((await git('verify-commit', 'HEAD')).stderr).toContain('Good "git" signature for me@example.org');
});

test('plink of PuTTY logs in', async () => {
  const fingerprint =
    (await execa('ssh-keygen', ['-lf', `${sshd.hostKeys[0]?.path ?? ''}.pub`])).stdout.split(' ')[1] ?? '';
  const run = await execa(
    'plink',
    ['-batch', '-agent', '-P', String(sshd.port), '-hostkey', fingerprint, `${user}@${sshd.address}`, 'echo in'],
    {
      env: agent.env,
    },
  );
  expect(run.stdout).toBe('in');
});

test.each([
  ['all keys', undefined],
  ['RSA alone', keyTypes.findIndex(([type]) => type === 'rsa')],
])('the ssh2 library of Node logs in with %s', async (_, only) => {
  await using lonely = await startTestAgent();
  if (only !== undefined) await execa('ssh-add', ['-q', '-k', keys[only] ?? ''], { env: lonely.env });
  const client = new Ssh2Client();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  client.on('ready', () => {
    client.exec('echo in', (error, channel) => {
      if (error !== undefined) reject(error);
      else channel.on('data', (data: Buffer) => resolve(data.toString('utf8').trim()));
    });
  });
  client.on('error', reject);
  const socket = only === undefined ? agent.socket : lonely.socket;
  client.connect({ host: sshd.address, port: sshd.port, username: user, agent: socket });
  expect(await promise).toBe('in');
  client.end();
});
