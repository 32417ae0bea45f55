/** Other agents behind ours: OpenSSH's ssh-agent, one that is not there, and ones that misbehave. */
import { readFile } from 'node:fs/promises';
import { type Server, createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fetchState } from '#agent/control/control-client.ts';
import { type LabProcess, startProcess } from '../support/lab-process.ts';
import { makeDirectory, makeKeyFile, startTestAgent } from './agent-fixture.ts';

let directory: ReturnType<typeof makeDirectory>;
let former: LabProcess;
let formerSocket: string;
beforeEach(async () => {
  directory = makeDirectory();
  formerSocket = join(directory.path, 'former');
  former = startProcess(['ssh-agent', '-D', '-a', formerSocket]);
  await former.until((each) => each.stdout().includes('SSH_AUTH_SOCK'));
});
afterEach(async () => {
  await former[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

async function addTo(socket: string, name: string, ...options: string[]): Promise<string> {
  const key = await makeKeyFile(directory.path, name);
  await execa('ssh-add', ['-q', ...options, key], { env: { SSH_AUTH_SOCK: socket } });
  return key;
}
const names = (output: string): string[] => output.split('\n').map((line) => line.split(' ')[2] ?? '');

test('their keys are listed after ours, sign, and stay when ours are removed', async () => {
  await using agent = await startTestAgent({ args: ['--upstream', `former=${formerSocket}`] });
  const theirs = await addTo(formerSocket, 'theirs');
  await addTo(agent.socket, 'ours');
  const listed = await execa('ssh-add', ['-l'], { env: agent.env });
  expect(names(listed.stdout)).toEqual(['ours', 'theirs']);
  await execa('ssh-add', ['-q', '-T', `${theirs}.pub`], { env: agent.env });
  await execa('ssh-add', ['-q', '-D'], { env: agent.env });
  expect(names((await execa('ssh-add', ['-l'], { env: agent.env })).stdout)).toEqual(['theirs']);
  expect((await fetchState(`${agent.socket}.control`)).upstreams).toEqual([
    { name: 'former', socket: formerSocket, health: 'ok' },
  ]);
});

test('a failing one takes nothing away, and works again when it is back', async () => {
  const dead = join(directory.path, 'dead');
  await using agent = await startTestAgent({
    args: ['--upstream', `dead=${dead}`, '--upstream', `former=${formerSocket}`],
  });
  await addTo(formerSocket, 'theirs');
  await addTo(agent.socket, 'ours');
  expect(names((await execa('ssh-add', ['-l'], { env: agent.env })).stdout)).toEqual(['ours', 'theirs']);
  const { upstreams } = await fetchState(`${agent.socket}.control`);
  expect(upstreams.map(({ health }) => health)).toEqual(['failing', 'ok']);
  await using back = startProcess(['ssh-agent', '-D', '-a', dead]);
  await back.until((each) => each.stdout().includes('SSH_AUTH_SOCK'));
  await addTo(dead, 'risen');
  expect(names((await execa('ssh-add', ['-l'], { env: agent.env })).stdout)).toEqual(['ours', 'risen', 'theirs']);
});

test.each([
  ['hangs up', (server: Server) => server.on('connection', (socket) => socket.destroy())],
  [
    'talks rubbish',
    (server: Server) =>
      server.on('connection', (socket) => socket.on('error', () => undefined).write('GET / HTTP/1.1\r\n\r\n')),
  ],
  ['says nothing', (server: Server) => server.on('connection', (socket) => socket.on('error', () => undefined))],
])('one that %s is passed over', async (_, misbehave) => {
  const socket = join(directory.path, 'bad');
  const server = createServer();
  misbehave(server);
  server.listen(socket);
  await once(server, 'listening');
  await using agent = await startTestAgent({ args: ['--upstream', `bad=${socket}`] });
  const ours = await addTo(agent.socket, 'ours');
  expect(names((await execa('ssh-add', ['-l'], { env: agent.env })).stdout)).toEqual(['ours']);
  await execa('ssh-add', ['-q', '-T', `${ours}.pub`], { env: agent.env });
  server.close();
});

test("our own socket is never its own upstream, and the former agent is the daemon's", async () => {
  const { agentProgram } = await import('../support/programs.ts');
  const socket = join(directory.path, 'countersign/agent.sock');
  const run = (former_: string) =>
    startProcess([...agentProgram(), 'agent'], {
      env: { XDG_RUNTIME_DIR: directory.path, HOME: directory.path, SSH_AUTH_SOCK: former_ },
    });
  await addTo(formerSocket, 'theirs');
  for (const [variable, expected] of [
    [formerSocket, ['theirs']],
    [socket, ['agent']],
  ] as const) {
    await using daemon = run(variable);
    await daemon.until((each) => each.stdout().includes('SSH_AUTH_SOCK'));
    const listed = await execa('ssh-add', ['-l'], { env: { SSH_AUTH_SOCK: socket }, reject: false });
    expect(names(listed.stdout).map((each) => (each === 'no' ? 'agent' : each))).toEqual(
      expected[0] === 'theirs' ? expected : ['has'],
    );
  }
});

test('destination constraints of their keys hold through us: session binds are passed on', async () => {
  await using agent = await startTestAgent({ args: ['--upstream', `former=${formerSocket}`] });
  const { sampleBind, sampleKey } = await import('../unit/openssh/agent-samples.ts');
  const { encodeExtensionRequest, encodeListRequest } = await import('#openssh/agent-request.ts');
  const { formatPublicKeyLine } = await import('#openssh/public-key.ts');
  const { RawClient } = await import('./agent-fixture.ts');
  const { writeFile } = await import('node:fs/promises');
  const [host, other] = [sampleKey(), sampleKey()];
  const known = join(directory.path, 'known_hosts');
  await writeFile(known, `host ${formatPublicKeyLine(host.publicKey)}\n`);
  const theirs = await addTo(formerSocket, 'theirs', '-H', known, '-h', 'host');
  const bindTo = async (target: typeof host): Promise<number> => {
    using client = await RawClient.open(agent.socket);
    expect(await client.ask(encodeExtensionRequest('session-bind@openssh.com', sampleBind(target)))).toEqual({
      type: 'success',
    });
    const reply = await client.ask(encodeListRequest());
    return reply.type === 'identities' ? reply.identities.length : -1;
  };
  expect(await readFile(`${theirs}.pub`, 'utf8')).toContain('theirs');
  expect([await bindTo(host), await bindTo(other)]).toEqual([1, 0]);
});
