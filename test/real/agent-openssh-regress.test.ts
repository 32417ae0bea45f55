/**
 * OpenSSH's own regression tests for agents (Debian package openssh-tests) with our agent as ssh-agent.
 * Three departures, all on purpose and made outside of what the scripts check: the list of key types that `ssh -Q`
 * gives is without DSA, which this agent refuses, as OpenSSH does since 10.0; `hostkey-agent` uses RSA with SHA-2, since
 * this agent makes no SHA-1 signatures; and `agent-restrict` waits for the agent instead of for a time. `cert-userkey` starts no agent in this version and takes minutes with every type of key: it is run
 * for the versions that do, with Ed25519 keys.
 */
import { execa } from 'execa';
import { chmod, cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { agentProgram } from '../support/programs.ts';
import { makeDirectory } from './agent-fixture.ts';

const REGRESS = '/usr/lib/openssh/regress';
const isRoot = process.getuid?.() === 0;

const sshWrapper = `#!/bin/sh
for argument in "$@"; do
  test "$argument" = -Q && { /usr/bin/ssh "$@" | grep -v -e ssh-dss -e '^ssh-rsa-cert-v01'; exit; }
done
exec /usr/bin/ssh "$@"
`;
/** The user that agent-getpeereid is run as may change its user id and nothing else: enough for what the script needs sudo for. */
const sudoWrapper = `#!/bin/sh
user=
while :; do
  case "$1" in
  -S|-n) shift ;;
  -u) user="$2"; shift 2 ;;
  *) break ;;
  esac
done
test -z "$user" && exec "$@"
exec setpriv --reuid "$user" --regid nogroup --clear-groups --inh-caps=-all --ambient-caps=-all -- "$@"
`;

beforeAll(async () => {
  if (isRoot) await mkdir('/run/sshd', { recursive: true, mode: 0o755 }); // privilege separation wants it
});

/** Of plain keys, Ed25519 alone. */
const fewTypesWrapper = `#!/bin/sh
for argument in "$@"; do
  test "$argument" = key-plain && { echo ssh-ed25519; exit; }
done
exec /usr/bin/ssh "$@"
`;

interface RunOptions {
  /** In place of the wrapper for ssh. */
  readonly ssh?: string;
  /** Run as this user, with the wrapper above as sudo. */
  readonly user?: string;
}

async function runScript(name: string, options: RunOptions = {}): Promise<{ output: string; log: string }> {
  using directory = makeDirectory();
  await chmod(directory.path, 0o755);
  const programs = join(directory.path, 'bin');
  const regress = join(directory.path, 'regress');
  await mkdir(programs);
  await cp(REGRESS, regress, { recursive: true });
  const agent = join(programs, 'agent');
  const command = [...agentProgram(), 'agent'].map((word) => `'${word}'`).join(' ');
  const wrappers = {
    ssh: options.ssh ?? sshWrapper,
    agent: `#!/bin/sh\nexec ${command} "$@"\n`,
    ...(options.user === undefined ? {} : { sudo: sudoWrapper }),
  };
  for (const [file, text] of Object.entries(wrappers)) await writeFile(join(programs, file), text, { mode: 0o755 });
  await useSha2(join(regress, 'hostkey-agent.sh'));
  await awaitAgent(join(regress, 'agent-restrict.sh'));
  if (options.user !== undefined) await execa('chown', ['-R', options.user, directory.path]);
  const make = [
    'make',
    ...['.OBJDIR', '.CURDIR', 'BUILDDIR', 'OBJ'].map((each) => `${each}=${regress}`),
    'TEST_SHELL=sh',
    'TEST_SSH_SSH=ssh',
    `TEST_SSH_PORT=${await freePort()}`,
    `TEST_SSH_SSHAGENT=${agent}`,
    'TEST_SSH_ECC=yes',
    'TEST_SSH_UNSAFE_PERMISSIONS=1',
    'TEST_SSH_SFTPSERVER=/usr/lib/openssh/sftp-server',
    `SUDO=${options.user === undefined ? '' : 'sudo'}`,
    't-exec',
    `LTESTS=${name}`,
    'INTEROP_TESTS=',
    'EXTRA_TESTS=',
  ];
  const asUser =
    options.user === undefined
      ? []
      : [
          'setpriv',
          '--reuid',
          options.user,
          '--regid',
          options.user,
          '--clear-groups',
          '--inh-caps=+setuid,+setgid',
          '--ambient-caps=+setuid,+setgid',
          '--',
        ];
  const [file = '', ...args] = [...asUser, ...make];
  const run = await execa(file, args, {
    cwd: regress,
    all: true,
    reject: false,
    timeout: 880_000,
    stdin: 'ignore',
    env: { PATH: `${programs}:${process.env['PATH'] ?? ''}`, HOME: regress, SSH_AUTH_SOCK: '' },
  });
  const logs = (await readdir(regress)).filter((each) => each === 'failed-regress.log' || each === 'ssh-add.log');
  const texts = await Promise.all(logs.map((each) => readFile(join(regress, each), 'utf8')));
  return { output: run.all, log: texts.join('\n').slice(-4000) };
}

/** RSA host keys sign with SHA-512 where the script, for each key type, names the type as the algorithm. */
async function useSha2(path: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  const algorithm = '$(echo $k | sed s,^ssh-rsa$,rsa-sha2-512,)';
  const changed = text.replaceAll(/HostKeyAlgorithms([ =])\$k/g, `HostKeyAlgorithms$1${algorithm}`);
  expect(changed).not.toBe(text);
  await writeFile(path, changed);
}

/** Until the agent answers that it has no keys, where the script gives it four seconds to start. */
async function awaitAgent(path: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  const changed = text.replace(/^sleep 4 .*$/m, 'until ${SSHADD} -l >/dev/null 2>&1; test $? -eq 1; do sleep 1; done');
  expect(changed).not.toBe(text);
  await writeFile(path, changed);
}

const scripts = [
  ['agent', 'simple agent test'],
  ['agent-timeout', 'agent timeout test'],
  ['agent-subprocess', 'agent subprocess'],
  ['agent-restrict', 'agent restrictions'],
  ['hostkey-agent', 'hostkey agent'],
  ['sshsig', 'sshsig'],
] as const;

test.each(scripts)('%s', { timeout: 900_000 }, async (name, title) => {
  const { output, log } = await runScript(name);
  expect(output, log).toContain(`ok ${title}`);
});

test('cert-userkey', { timeout: 900_000 }, async () => {
  const { output, log } = await runScript('cert-userkey', { ssh: fewTypesWrapper });
  expect(output, log).toContain('ok certified user keys');
});

// The script skips itself for root and needs a second user: only root can give it both.
test.runIf(isRoot)('agent-getpeereid', { timeout: 900_000 }, async () => {
  const { output, log } = await runScript('agent-getpeereid', { user: 'games' });
  expect(output, log).toContain('ok disallow agent attach from other uid');
  expect(log).toContain('Permission denied');
});
