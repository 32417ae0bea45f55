/** `countersign agent` as a process: the ways of ssh-agent(1), its sockets, and what it keeps from others. */
import { existsSync } from 'node:fs';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { watchStates } from '#agent/control/control-client.ts';
import { agentProgram } from '../support/programs.ts';
import { RawClient, countIdentities, makeDirectory, makeKeyFile, startTestAgent } from './agent-fixture.ts';

const isRoot = process.getuid?.() === 0;
const [file, ...leading] = agentProgram();

function agentCommand(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return execa(file, [...leading, 'agent', ...args], {
    env: { SSH_AUTH_SOCK: '', ...env },
    reject: false,
    timeout: 60_000,
  });
}

/** What `eval` of the output would set. */
function variables(output: string): { SSH_AUTH_SOCK: string; SSH_AGENT_PID: string } {
  const value = (name: string): string => new RegExp(`^(?:setenv )?${name}[ =]([^;]+);`, 'm').exec(output)?.[1] ?? '';
  return { SSH_AUTH_SOCK: value('SSH_AUTH_SOCK'), SSH_AGENT_PID: value('SSH_AGENT_PID') };
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; performance.now() < end; await sleep(20)) if (await holds()) return;
  throw new Error('it did not come');
}

/** A socket is there a moment before its agent listens. */
async function isServed(socket: string): Promise<boolean> {
  return countIdentities(socket).then(
    (count) => count === 0,
    () => false,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('in the background', () => {
  test.each([
    ['-s', /^SSH_AUTH_SOCK=\S+; export SSH_AUTH_SOCK;\nSSH_AGENT_PID=\d+; export SSH_AGENT_PID;\necho Agent pid \d+;$/],
    ['-c', /^setenv SSH_AUTH_SOCK \S+;\nsetenv SSH_AGENT_PID \d+;\necho Agent pid \d+;$/],
  ])('%s prints for the shell once it listens; -k ends it and leaves nothing', async (flag, form) => {
    const started = await agentCommand([flag]);
    expect(started.stdout).toMatch(form);
    const env = variables(started.stdout);
    expect(await countIdentities(env.SSH_AUTH_SOCK)).toBe(0);
    const [socket, directory] = [await stat(env.SSH_AUTH_SOCK), await stat(dirname(env.SSH_AUTH_SOCK))];
    expect([socket.mode & 0o777, directory.mode & 0o777]).toEqual([0o600, 0o700]);
    const killed = await agentCommand([flag, '-k'], env);
    expect(killed.stdout).toContain(`echo Agent pid ${env.SSH_AGENT_PID} killed;`);
    await until(() => !existsSync(dirname(env.SSH_AUTH_SOCK)) && !isAlive(Number(env.SSH_AGENT_PID)));
  });

  test('-a refuses a socket that is served and takes over one that is not', async () => {
    using directory = makeDirectory();
    const socket = join(directory.path, 'sock');
    const first = variables((await agentCommand(['-a', socket])).stdout);
    const second = await agentCommand(['-a', socket]);
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toContain('agent-running');
    expect(await countIdentities(socket)).toBe(0);
    process.kill(Number(first.SSH_AGENT_PID), 'SIGKILL'); // leaves its socket behind
    await until(() => !isAlive(Number(first.SSH_AGENT_PID)));
    expect(existsSync(socket)).toBe(true);
    const third = variables((await agentCommand(['-a', socket])).stdout);
    expect(await countIdentities(socket)).toBe(0);
    await agentCommand(['-k'], third);
    await until(() => !existsSync(socket));
  });

  test('-a never removes a file that is no socket', async () => {
    using directory = makeDirectory();
    const path = join(directory.path, 'notes');
    await writeFile(path, 'precious');
    const run = await agentCommand(['-a', path]);
    expect(run.exitCode).toBe(1);
    expect(run.stderr).toContain('socket-path');
    expect(await readFile(path, 'utf8')).toBe('precious');
  });
});

test('a command runs with the agent, gives its status, and takes the agent with it', async () => {
  const run = await agentCommand(['sh', '-c', 'ssh-add -l; echo $SSH_AGENT_PID $SSH_AUTH_SOCK; exit 7']);
  expect(run.exitCode).toBe(7);
  expect(run.stdout).toContain('The agent has no identities.');
  const [pid = '', socket = ''] = (run.stdout.split('\n').at(-1) ?? '').split(' ');
  await until(() => !isAlive(Number(pid)) && !existsSync(socket));
});

test.each([[['-c', '-s']], [['-d', '-D']], [['-t', 'long']], [['-s', 'true']], [['-k']]])(
  '%j is refused',
  async (args) => {
    const run = await agentCommand(args, { SSH_AGENT_PID: '' });
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toBe('');
  },
);

describe('in the foreground', () => {
  test('the daemon listens at its own socket in a private directory, and not in one that others can enter', async () => {
    using directory = makeDirectory();
    const env = { XDG_RUNTIME_DIR: directory.path, HOME: directory.path };
    const socket = join(directory.path, 'countersign/agent.sock');
    const running = execa(file, [...leading, 'agent', '--no-upstream'], { env, reject: false, timeout: 60_000 });
    await until(async () => isServed(socket));
    expect((await stat(dirname(socket))).mode & 0o777).toBe(0o700);
    running.kill('SIGTERM');
    expect((await running).exitCode).toBe(0);
    expect(existsSync(socket)).toBe(false);
    await chmod(dirname(socket), 0o755);
    const refused = await agentCommand(['--no-upstream'], env);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain('socket-directory');
  });

  test('SIGUSR1 removes the keys and opens no debugger', async () => {
    await using agent = await startTestAgent();
    await execa('ssh-add', ['-q', await makeKeyFile(agent.directory, 'key')], { env: agent.env });
    expect(await countIdentities(agent.socket)).toBe(1);
    agent.process.signal('SIGUSR1');
    await until(async () => (await countIdentities(agent.socket)) === 0);
    expect(agent.process.stderr()).not.toContain('Debugger');
  });

  test('-t gives keys a lifetime', async () => {
    await using agent = await startTestAgent({ args: ['-t', '2'] });
    const key = await makeKeyFile(agent.directory, 'key');
    const counts: number[] = []; // each state is told, however late it is read
    for await (const { identities } of watchStates(`${agent.socket}.control`, AbortSignal.timeout(60_000))) {
      if (counts.length === 0) await execa('ssh-add', ['-q', key], { env: agent.env });
      if (counts.at(-1) !== identities.length) counts.push(identities.length);
      if (counts.length === 3) break;
    }
    expect(counts).toEqual([0, 1, 0]);
  });
});

describe('what others get', () => {
  test.runIf(process.platform === 'linux')('no core dump, and no look into its memory', async () => {
    await using agent = await startTestAgent();
    const limits = await execa('prlimit', [
      '--core',
      '--output=SOFT,HARD',
      '--noheadings',
      '--pid',
      String(agent.process.pid),
    ]);
    expect(limits.stdout.trim().split(/\s+/)).toEqual(['0', '0']);
    // a process that is not dumpable has its files in /proc owned by root, also for its own user
    const state = await execa(file, [...leading, 'status', '--json', '--socket', agent.socket]);
    expect(JSON.parse(state.stdout)).toMatchObject({
      protection: { peerUserChecked: true, coreDumpsOff: true, memoryHidden: true },
    });
  });

  test.runIf(isRoot)('nothing: another user is turned away although the socket lets everyone in', async () => {
    await using agent = await startTestAgent();
    await chmod(agent.directory, 0o755);
    for (const path of [agent.socket, `${agent.socket}.control`]) await chmod(path, 0o666);
    const asNobody = (command: string[]) =>
      execa('setpriv', ['--reuid=nobody', '--regid=nogroup', '--clear-groups', ...command], {
        env: agent.env,
        reject: false,
      });
    const listed = await asNobody(['ssh-add', '-l']);
    // turned away before or after it asked: ssh-add says so, or dies of writing to a closed connection
    expect([listed.stdout, listed.failed]).toEqual(['', true]);
    expect(
      (await asNobody(['curl', '-s', '--unix-socket', `${agent.socket}.control`, 'http://agent/v1/state'])).exitCode,
    ).not.toBe(0);
    const own = await execa('ssh-add', ['-l'], { env: agent.env, reject: false });
    expect(own.stdout).toBe('The agent has no identities.');
  });

  test.runIf(isRoot)('root may use the agent of a user, as with ssh-agent; its memory belongs to root', async () => {
    using directory = makeDirectory();
    await execa('chown', ['nobody', directory.path]);
    const socket = join(directory.path, 'sock');
    const running = execa(
      'setpriv',
      ['--reuid=nobody', '--regid=nogroup', '--clear-groups', file, ...leading, 'agent', '-D', '-a', socket],
      {
        env: { HOME: directory.path, SSH_AUTH_SOCK: '' },
        reject: false,
        timeout: 60_000,
      },
    );
    await until(async () => isServed(socket));
    expect((await stat(`/proc/${running.pid ?? 0}/mem`)).uid).toBe(0);
    running.kill('SIGTERM');
    await running;
  });
});

test('a connection that is open at the end is closed', async () => {
  await using agent = await startTestAgent();
  using client = await RawClient.open(agent.socket);
  using other = await RawClient.open(agent.socket);
  agent.process.signal('SIGTERM');
  await Promise.all([client.closed, other.closed]);
  expect(await agent.process.ended).toEqual({ code: 0, signal: null });
});
