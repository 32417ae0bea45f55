/** The one order in which commands look for an agent. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { type Server, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AgentFailure } from '#agent/user/agent-failure.ts';
import { chooseAgent, chooseControlSocket } from '#agent/user/agent-choice.ts';

let directory: string;
let servers: Server[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cs-choice-'));
  mkdirSync(join(directory, 'countersign'));
  servers = [];
});
afterEach(() => {
  for (const server of servers) server.close();
  rmSync(directory, { recursive: true, force: true });
});

async function listen(...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const server = createServer((socket) => socket.destroy());
    servers.push(server);
    const listening = once(server, 'listening');
    server.listen(join(directory, name));
    await listening;
  }
}

const at = (name: string) => join(directory, name);
const environment = (inherited = '') => ({ XDG_RUNTIME_DIR: directory, SSH_AUTH_SOCK: inherited });
const daemon = 'countersign/agent.sock';

test('an agent of ours in SSH_AUTH_SOCK comes before the daemon', async () => {
  await listen('mine', 'mine.control', daemon, `${daemon}.control`);
  expect(await chooseAgent(undefined, environment(at('mine')))).toEqual({
    socket: at('mine'),
    control: at('mine.control'),
  });
});

test('the daemon comes before another ssh-agent in SSH_AUTH_SOCK', async () => {
  await listen('keyring', daemon, `${daemon}.control`);
  expect(await chooseAgent(undefined, environment(at('keyring')))).toEqual({
    socket: at(daemon),
    control: at(`${daemon}.control`),
  });
});

test('another ssh-agent is taken where there is none of ours; not by what needs the control API', async () => {
  await listen('keyring');
  expect(await chooseAgent(undefined, environment(at('keyring')))).toEqual({ socket: at('keyring') });
  await expect(chooseControlSocket(undefined, environment(at('keyring')))).rejects.toThrow(AgentFailure);
});

test('a socket that is named is the only one', async () => {
  await listen('keyring', daemon, `${daemon}.control`);
  expect(await chooseAgent(at('keyring'), environment())).toEqual({ socket: at('keyring') });
  expect(await chooseControlSocket(at(daemon), environment())).toBe(at(`${daemon}.control`));
  await expect(chooseAgent(at('none'), environment())).rejects.toMatchObject({ code: 'no-agent' });
});

test('nothing there', async () => {
  await expect(chooseAgent(undefined, environment())).rejects.toMatchObject({ code: 'no-agent' });
});
