/** `countersign why HOST`, with a real ssh, a real sshd, a real CA and OpenSSH's agent: one login for each cause, and what it is said to be. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examineLogin, examineUser } from '#agent/user/doctor/examine-login.ts';
import { type RunningCa, makeCa } from '#test/support/ca.ts';
import { startProcess } from '#test/support/lab-process.ts';
import { type TestSshd, startSshd } from '#test/support/sshd.ts';
import { makeKeyFile, startTestAgent } from './agent-fixture.ts';
import { runAgent } from './host-agent-fixture.ts';

const user = userInfo().username;
const alias = 'web1.lab.example';
let stack: AsyncDisposableStack;
let directory: string;
let ca: RunningCa;
let stateDirectory: string;
let sshd: TestSshd;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  directory = await mkdtemp(join(tmpdir(), 'countersign-why-'));
  stack.defer(async () => rm(directory, { recursive: true, force: true }));
  await Promise.all(['user-ca', 'host-ca', 'other-ca'].map(async (name) => makeKeyFile(directory, name)));
  const keys = ['--ssh-user-key', at('user-ca'), '--ssh-host-key', at('host-ca')];
  const made = await makeCa({
    within: join(directory, 'made'),
    quick: true,
    initOptions: [...keys, '--allow-user', user],
  });
  ca = stack.use(await made.serve());
  stateDirectory = at('state');
  const trust = ['--ca', ca.url, '--fingerprint', await made.rootFingerprint(), '--state-dir', stateDirectory];
  expect((await runAgent(['bootstrap', ...trust])).status).toBe(0);
  sshd = stack.use(await startHost());
});
afterAll(async () => stack?.disposeAsync());

const at = (name: string): string => join(directory, name);
let made = 0;

/** A host with a certificate, that trusts the user CA. */
async function startHost(
  options: { readonly sign?: readonly string[]; readonly trusts?: string; readonly ca?: string } = {},
) {
  const { sign = ['-n', alias, '-V', '-1h:+1h'], trusts = 'user-ca', ca: signer = 'host-ca' } = options;
  const key = await makeKeyFile(directory, `host-key-${(made += 1)}`);
  await execa('ssh-keygen', ['-q', '-s', at(signer), '-h', '-I', 'a host', ...sign, `${key}.pub`]);
  const lines = [`HostKey ${key}`, `HostCertificate ${key}-cert.pub`, `TrustedUserCAKeys ${at(trusts)}.pub`];
  const config = [
    ...lines,
    'AuthorizedKeysFile none',
    'PasswordAuthentication no',
    'PermitRootLogin yes',
    'StrictModes no',
  ];
  return startSshd({ keys: [], config });
}

interface Held {
  readonly principals?: string;
  readonly validity?: string;
  /** Plain keys in the agent; the certificate is then taken out, to be added after them. */
  readonly others?: number;
}

/** OpenSSH's agent, with a certificate of the user CA. */
async function startHolder({ principals = user, validity = '-1h:+1h', others = 0 }: Held | undefined = {}) {
  const number = (made += 1);
  const socket = at(`agent-${number}.sock`);
  const process = startProcess(['ssh-agent', '-D', '-a', socket]);
  await process.until((each) => each.stdout().includes('SSH_AUTH_SOCK='));
  const env = { SSH_AUTH_SOCK: socket };
  for (let i = 0; i < others; i++)
    await execa('ssh-add', ['-q', await makeKeyFile(directory, `other-${number}-${i}`)], { env });
  const key = await makeKeyFile(directory, `user-key-${number}`);
  const options = ['-I', 'a user', '-z', String(number), '-n', principals, '-V', validity];
  await execa('ssh-keygen', ['-q', '-s', at('user-ca'), ...options, `${key}.pub`]);
  await execa('ssh-add', ['-q', key], { env });
  if (others > 0) await execa('ssh-add', ['-q', '-d', `${key}.pub`], { env, reject: false }); // to come last
  return { socket, key, [Symbol.asyncDispose]: async () => process[Symbol.asyncDispose]() };
}

/** @param lines of ssh_config, which win over those that make it work */
async function writeConfig(socket: string, lines: readonly string[] = [], port = sshd.port): Promise<string> {
  const path = at(`ssh-config-${(made += 1)}`);
  const knownHosts = at(`known-hosts-${made}`);
  await writeFile(knownHosts, `@cert-authority *.lab.example ${await readFile(`${at('host-ca')}.pub`, 'utf8')}`);
  const rest = ['HostName 127.0.0.1', `Port ${port}`, `HostKeyAlias ${alias}`, `UserKnownHostsFile ${knownHosts}`];
  const more = ['GlobalKnownHostsFile none', `IdentityAgent ${socket}`, 'IdentityFile none', `User ${user}`];
  await writeFile(path, ['Host web1', ...lines, ...rest, ...more, ''].join('\n'));
  return path;
}

async function why(configFile: string, environment: Readonly<Record<string, string>> = {}) {
  const clean = { ...process.env, SSH_AUTH_SOCK: '', XDG_RUNTIME_DIR: directory, ...environment };
  const ssh = { program: 'ssh', configFile, environment: clean };
  const { connected, findings } = await examineLogin({ host: 'web1', ssh, stateDirectory });
  const failed = findings.filter(({ level }) => level === 'fail');
  for (const { advice = '' } of failed) expect(advice).not.toBe('');
  return { connected, failed: failed.map(({ check }) => check), all: findings.map(({ check }) => check) };
}

describe('countersign why', () => {
  it('says that all is well, and ends with 0', async () => {
    await using agent = await startHolder();
    const args = ['why', 'web1', '--ssh-config', await writeConfig(agent.socket), '--state-dir', stateDirectory];
    const told = await runAgent([...args, '--json']);
    expect(told.status, told.stderr).toBe(0);
    const { connected, findings } = JSON.parse(told.stdout) as { connected: boolean; findings: { level: string }[] };
    expect([connected, findings.filter(({ level }) => level !== 'ok')]).toEqual([true, []]);
  });

  it('says what to do in words, and ends with 1', async () => {
    const args = ['why', 'web1', '--ssh-config', await writeConfig('none'), '--state-dir', stateDirectory];
    const { status, stdout } = await runAgent(args);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^fail {2}ssh uses no agent.*\n {7}Run: countersign ssh-config install/m);
  });

  it('is about one host', async () => {
    expect(await runAgent(['why', '--', '-oProxyCommand=id'])).toMatchObject({ status: 1, code: 'ssh-unusable' });
    expect(await runAgent(['why', 'web1', '--ssh', at('no-ssh')])).toMatchObject({ status: 1, code: 'ssh-unusable' });
  });
});

describe('the agent', () => {
  it('is none', async () => {
    expect((await why(await writeConfig('none'))).failed).toEqual(['agent']);
    expect((await why(await writeConfig('SSH_AUTH_SOCK'))).failed).toEqual(['agent']);
  });

  it('does not answer where ssh looks for it', async () => {
    expect((await why(await writeConfig(at('nothing.sock')))).failed).toEqual(['agent']);
  });

  it('is another one than the one with the certificate', async () => {
    await using agent = await startHolder();
    expect((await why(await writeConfig('none'), { SSH_AUTH_SOCK: agent.socket })).failed).toEqual(['agent']);
    await using other = await startHolder({ validity: '-2h:-1h' });
    await execa('ssh-add', ['-q', '-D'], { env: { SSH_AUTH_SOCK: other.socket } });
    const told = await why(await writeConfig(other.socket), { SSH_AUTH_SOCK: agent.socket });
    expect(told.failed).toEqual(['agent-other']);
  });

  it('has no certificate', async () => {
    await using agent = await startHolder();
    await execa('ssh-add', ['-q', '-D'], { env: { SSH_AUTH_SOCK: agent.socket } });
    expect((await why(await writeConfig(agent.socket))).failed).toEqual(['certificate']);
  });

  it('is ours, has no certificate, and is not made to ask for a sign-in', async () => {
    const file = at('agent.toml');
    await writeFile(file, '[sign-in]\nhosts = "all"\nwait = "2s"\nkeychain = "off"\n');
    await using agent = await startTestAgent({ args: ['--config', file] });
    const needed = async (): Promise<number> => {
      const { stdout } = await runAgent(['status', '--socket', agent.socket, '--json']);
      return (JSON.parse(stdout) as { signIn: { needed: unknown[] } }).signIn.needed.length;
    };
    const config = await writeConfig(agent.socket);
    expect(await why(config)).toMatchObject({ connected: false, failed: ['certificate'] });
    expect(await needed()).toBe(0);
    await execa('ssh', ['-F', config, '-o', 'BatchMode=yes', 'web1', 'true'], { reject: false });
    expect(await needed()).toBe(1); // a login does have it ask
  });

  it('has too many keys', async () => {
    await using agent = await startHolder({ others: 7 });
    await execa('ssh-add', ['-q', agent.key], { env: { SSH_AUTH_SOCK: agent.socket } });
    expect((await why(await writeConfig(agent.socket))).failed).toEqual(['identities']);
  });

  it('is not asked, by IdentitiesOnly', async () => {
    await using agent = await startHolder();
    expect((await why(await writeConfig(agent.socket, ['IdentitiesOnly yes']))).failed).toEqual(['identities-only']);
  });
});

describe('the certificate', () => {
  it('has expired', async () => {
    await using agent = await startHolder({ validity: '-2h:-1h' });
    expect((await why(await writeConfig(agent.socket))).failed).toEqual(['certificate-expired']);
  });

  it('is not valid yet', async () => {
    await using agent = await startHolder({ validity: '+1h:+2h' });
    expect((await why(await writeConfig(agent.socket))).failed).toEqual(['clock']);
  });

  it('is revoked', async () => {
    await using agent = await startHolder();
    await ca.ca.run('revoke', '--key', `${agent.key}.pub`, '--reason', 'a test');
    await using strict = await startHost({ trusts: 'other-ca' }); // the host refuses it, as with a KRL
    await expect
      .poll(async () => (await why(await writeConfig(agent.socket, [], strict.port))).failed, { timeout: 60_000 })
      .toEqual(['certificate-revoked']);
  });

  it('is for somebody else there', async () => {
    await using agent = await startHolder({ principals: 'somebody-else' });
    expect((await why(await writeConfig(agent.socket))).failed).toEqual(['principal']);
  });

  it('is of a CA that the host does not trust', async () => {
    await using agent = await startHolder();
    await using strict = await startHost({ trusts: 'other-ca' });
    expect((await why(await writeConfig(agent.socket, [], strict.port))).failed).toEqual(['refused-there']);
  });

  it('is not shown, by PubkeyAcceptedAlgorithms', async () => {
    await using agent = await startHolder();
    const config = await writeConfig(agent.socket, ['PubkeyAcceptedAlgorithms ssh-ed25519']);
    expect((await why(config)).failed).toEqual(['certificate-dropped']);
  });
});

describe('the host', () => {
  const failedAt = async (port: number, lines: readonly string[] = []): Promise<string[]> =>
    (await why(await writeConfig('none', lines, port))).failed;

  it('cannot be reached', async () => {
    expect(await failedAt(1)).toEqual(['reach']); // nobody is given this one
    expect(await failedAt(22, ['HostName no-such-host.invalid'])).toEqual(['reach']);
  });

  it('has a certificate that has expired', async () => {
    await using host = await startHost({ sign: ['-n', alias, '-V', '-2h:-1h'] });
    expect(await failedAt(host.port)).toEqual(['host-certificate-expired']);
  });

  it('has a certificate for other names', async () => {
    await using host = await startHost({ sign: ['-n', 'web2.lab.example', '-V', '-1h:+1h'] });
    expect(await failedAt(host.port)).toEqual(['host-name']);
  });

  it('has a certificate of a CA that nobody trusts here', async () => {
    await using host = await startHost({ ca: 'other-ca' });
    expect(await failedAt(host.port)).toEqual(['host-ca-unknown']);
  });

  it('has a certificate of our CA, and ssh is not told', async () => {
    expect(await failedAt(sshd.port, ['HostKeyAlias web1.other.example'])).toEqual(['host-ca-not-told']);
  });

  it('has no certificate', async () => {
    await using host = await startSshd();
    expect(await failedAt(host.port)).toEqual(['host-certificate-missing']);
  });

  it('has another key than before', async () => {
    await using host = await startSshd();
    const knownHosts = at('old-known-hosts');
    const key = (await readFile(`${at('other-ca')}.pub`, 'utf8')).split(' ').slice(0, 2).join(' ');
    await writeFile(knownHosts, `${alias} ${key}\n`);
    expect(await failedAt(host.port, [`UserKnownHostsFile ${knownHosts}`])).toEqual(['host-key-changed']);
  });

  it('is revoked', async () => {
    const revoked = at('revoked-hosts');
    await writeFile(revoked, await readFile(`${at('host-ca')}.pub`, 'utf8'));
    expect(await failedAt(sshd.port, [`RevokedHostKeys ${revoked}`])).toEqual(['host-revoked']);
  });
});

it('doctor --user looks at the agent and what is in it', async () => {
  await using agent = await startHolder();
  const look = async (socket: string) => {
    const environment = { ...process.env, SSH_AUTH_SOCK: socket, XDG_RUNTIME_DIR: directory };
    const findings = await examineUser({ ssh: { program: 'ssh', configFile: 'none', environment }, stateDirectory });
    return findings.map(({ check, level }) => `${check} ${level}`);
  };
  expect(await look(agent.socket)).toEqual(['trust ok', 'agent ok', 'certificate ok']);
  expect(await look(at('nothing.sock'))).toEqual(['trust ok', 'agent fail']);
  const { status } = await runAgent(['doctor', '--user', '--state-dir', at('no-state')]);
  expect(status).toBe(1);
});

it('a CA that is down is told of, and is not the reason', async () => {
  await using agent = await startHolder();
  await ca[Symbol.asyncDispose]();
  const told = await why(await writeConfig(agent.socket));
  expect(told).toMatchObject({ connected: true, failed: [] });
  expect(told.all).toContain('ca');
});
