/**
 * A session outlives its agent in the keychain of the desktop: a real gnome-keyring on a D-Bus of its own, an agent that is killed, and a real
 * provider that would end the session at the first refresh token that is used twice.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { renewSessions } from '#agent/control/control-client.ts';
import { controlSocketOf } from '#agent/user/socket-path.ts';
import { type LabProcess, startProcess } from '#test/support/lab-process.ts';
import { agentProgram } from '#test/support/programs.ts';
import { makeDirectory } from './agent-fixture.ts';
import { runAgent } from './host-agent-fixture.ts';
import {
  type Door,
  type SessionStage,
  openDoor,
  openSessionStage,
  patience,
  signInAs,
  stateOf,
  writeConfig,
} from './login-session-fixture.ts';

let stage: SessionStage;
let door: Door;

beforeAll(async () => {
  stage = await openSessionStage();
  door = await openDoor(stage);
});
afterAll(async () => {
  await door?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

interface Desktop extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
}

/** A bus, and a keyring that is unlocked as at a login. */
async function openDesktop(home: string): Promise<Desktop> {
  await using stack = new AsyncDisposableStack();
  const runtime = join(home, 'run');
  await mkdir(runtime, { mode: 0o700 });
  const bare = { HOME: home, XDG_RUNTIME_DIR: runtime, XDG_DATA_HOME: join(home, 'data') };
  const bus = stack.use(startProcess(['dbus-daemon', '--session', '--nofork', '--print-address=1'], { env: bare }));
  await bus.until((each) => each.stdout().includes('\n'));
  const env = { ...bare, DBUS_SESSION_BUS_ADDRESS: bus.stdout().trim(), DISPLAY: '', WAYLAND_DISPLAY: '' };
  const password = join(home, 'password');
  await writeFile(password, 'secret');
  const command = 'exec gnome-keyring-daemon --foreground --unlock --components=secrets <"$1"';
  stack.use(startProcess(['sh', '-c', command, 'sh', password], { env }));
  // asked before it is there, the bus would start another one, which is locked
  const owner = ['--session', '--print-reply', '--dest=org.freedesktop.DBus', '/', 'org.freedesktop.DBus.GetNameOwner'];
  const ask = async () => execa('dbus-send', [...owner, 'string:org.freedesktop.secrets'], { env, reject: false });
  await expect.poll(async () => (await ask()).exitCode, patience).toBe(0);
  const owned = stack.move();
  return { env, [Symbol.asyncDispose]: async () => owned.disposeAsync() };
}

async function startAgent(socket: string, config: string, env: Readonly<Record<string, string>>): Promise<LabProcess> {
  const args = ['agent', '-D', '-a', socket, '--config', config];
  const agent = startProcess([...agentProgram(), ...args], { env: { SSH_AUTH_SOCK: '', SSH_ASKPASS: '', ...env } });
  try {
    await agent.until((each) => each.stdout().includes('SSH_AUTH_SOCK='));
    return agent;
  } catch (error) {
    await agent[Symbol.asyncDispose]();
    throw error;
  }
}

async function kill(agent: LabProcess): Promise<void> {
  agent.signal('SIGKILL');
  await agent.ended;
}

it(
  'comes back after the agent was killed, without a question, and is gone for good after logout',
  { timeout: 300_000 },
  async () => {
    using home = makeDirectory();
    await using desktop = await openDesktop(home.path);
    const socket = join(home.path, 'agent.sock');
    const config = await writeConfig(stage, ['keychain = "on"']);
    {
      await using agent = await startAgent(socket, config, desktop.env);
      await signInAs(stage, 'alice', socket);
      const { sessions, keychain } = (await stateOf(socket)).signIn;
      expect([sessions[0]?.refreshToken, keychain]).toEqual(['keychain', { kind: 'system' }]);
      // the token that came with the sign-in is worth nothing after this: the next one must be in the keychain
      expect((await renewSessions(controlSocketOf(socket), {})).sessions).toMatchObject([{ renewed: true }]);
      await kill(agent);
    }
    const visits = stage.visits();
    {
      await using agent = await startAgent(socket, config, desktop.env);
      await expect
        .poll(async () => (await stateOf(socket)).signIn.sessions, patience)
        .toMatchObject([
          { provisioner: 'corp', refreshToken: 'keychain', certificate: { principals: ['alice', 'root'] } },
        ]);
      expect((await door.ssh(socket)).stdout).toBe('inside');
      expect((await renewSessions(controlSocketOf(socket), {})).sessions).toMatchObject([{ renewed: true }]);
      expect((await door.ssh(socket)).stdout).toBe('inside');
      expect((await stateOf(socket)).signIn.needed).toEqual([]);
      expect(stage.visits()).toBe(visits);

      const token = stage.given.at(-1) ?? '';
      expect(await stage.isActive(token)).toBe(true);
      expect((await runAgent(['logout', '--socket', socket, ...stage.stateDirectory])).status).toBe(0);
      expect(await stage.isActive(token)).toBe(false);
      await kill(agent);
    }
    await using _agent = await startAgent(socket, config, desktop.env);
    await expect.poll(async () => (await stateOf(socket)).signIn.keychain, patience).toEqual({ kind: 'system' });
    expect((await stateOf(socket)).signIn.sessions).toEqual([]);
  },
);

it('stays in memory, and says so, where there is no keychain', async () => {
  using home = makeDirectory();
  const socket = join(home.path, 'agent.sock');
  const config = await writeConfig(stage, ['keychain = "on"']);
  const env = { HOME: home.path, XDG_RUNTIME_DIR: home.path, DISPLAY: '', DBUS_SESSION_BUS_ADDRESS: 'unix:path=/none' };
  await using _agent = await startAgent(socket, config, env);
  await signInAs(stage, 'alice', socket);
  const { sessions, keychain } = (await stateOf(socket)).signIn;
  expect([sessions[0]?.refreshToken, keychain.kind]).toEqual(['memory', 'memory']);
  expect((await runAgent(['status', '--socket', socket])).stdout).toMatch(/memory only, lost when the agent ends: \S/);
});
