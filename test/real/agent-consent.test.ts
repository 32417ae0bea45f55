/** Asking before a key is used: through the control API, a terminal, SSH_ASKPASS, and nobody at all. */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import type { ControlState } from '#protocol/control.ts';
import { answerQuestion, watchStates } from '#agent/control/control-client.ts';
import { encodeSignRequest } from '#openssh/agent-request.ts';
import { parsePublicKeyLine } from '#openssh/public-key.ts';
import { agentProgram } from '../support/programs.ts';
import { RawClient, type TestAgent, makeDirectory, makeKeyFile, startTestAgent } from './agent-fixture.ts';

const files = makeDirectory();
afterAll(() => files[Symbol.dispose]());

let agent: TestAgent;
let control: string;
let blob: Uint8Array;

async function prepare(options: Parameters<typeof startTestAgent>[0] = {}): Promise<void> {
  agent = await startTestAgent(options);
  control = `${agent.socket}.control`;
  const key = await makeKeyFile(agent.directory, 'key');
  blob = parsePublicKeyLine(await readFile(`${key}.pub`, 'utf8')).blob;
  await execa('ssh-add', ['-q', '-c', key], { env: agent.env });
}
beforeEach(() => prepare());
afterEach(() => agent[Symbol.asyncDispose]());

const request = (): Uint8Array => encodeSignRequest({ keyBlob: blob, data: Uint8Array.of(1), flags: 0 });

async function nextQuestion(count = 1): Promise<ControlState['questions']> {
  for await (const { questions } of watchStates(control, AbortSignal.timeout(60_000)))
    if (questions.length >= count) return questions;
  throw new Error('the agent ended');
}

test.each([
  [true, 'signature'],
  [false, 'failure'],
] as const)('an answer over the control API: %s gives a %s', async (allow, type) => {
  using client = await RawClient.open(agent.socket);
  const reply = client.ask(request());
  const [question] = await nextQuestion();
  expect(question).toMatchObject({ purpose: 'unknown', forwarded: false, key: { comment: 'key', kind: 'ED25519' } });
  expect(question?.program?.pid).toBe(process.pid);
  await answerQuestion(control, question?.id ?? '', allow);
  expect(await reply).toMatchObject({ type });
  await expect(answerQuestion(control, question?.id ?? '', allow)).rejects.toMatchObject({ code: 'question-gone' });
});

test('a face that dies loses no question; the next one sees it', async () => {
  using client = await RawClient.open(agent.socket);
  const reply = client.ask(request());
  const dying = new AbortController();
  for await (const { questions } of watchStates(control, dying.signal)) if (questions.length > 0) break;
  dying.abort();
  const [question] = await nextQuestion();
  await answerQuestion(control, question?.id ?? '', true);
  expect(await reply).toMatchObject({ type: 'signature' });
});

test('a waiting question holds up no other client, and goes when its asker goes', async () => {
  const client = await RawClient.open(agent.socket);
  client.ask(request()).catch(() => undefined);
  await nextQuestion();
  const listed = await execa('ssh-add', ['-l'], { env: agent.env });
  expect(listed.stdout).toContain('ED25519');
  client[Symbol.dispose]();
  for await (const { questions } of watchStates(control, AbortSignal.timeout(60_000)))
    if (questions.length === 0) break;
});

test('nobody answers: the time-out denies', async () => {
  await agent[Symbol.asyncDispose]();
  const { path: config } = await makeConfig('confirm-timeout = "1s"\n');
  await prepare({ args: ['--config', config] });
  using client = await RawClient.open(agent.socket);
  expect(await client.ask(request())).toEqual({ type: 'failure' });
});

test('`countersign approve` answers in a terminal, and status shows what waits', async () => {
  const [file, ...leading] = agentProgram();
  const ask = (args: string[]) => execa(file, [...leading, ...args, '--socket', agent.socket], { reject: false });
  using client = await RawClient.open(agent.socket);
  const denied = client.ask(request());
  const [question] = await nextQuestion();
  const status = await ask(['status']);
  expect(status.stdout).toContain(question?.id ?? 'no question');
  expect((await ask(['approve', question?.id ?? '', '--deny'])).stdout).toContain('denied');
  expect(await denied).toEqual({ type: 'failure' });
  const allowed = client.ask(request());
  await nextQuestion();
  expect((await ask(['approve'])).stdout).toContain('allowed');
  expect(await allowed).toMatchObject({ type: 'signature' });
  expect((await ask(['approve'])).exitCode).toBe(1);
});

test('`countersign approve --watch` asks for each question as it comes', async () => {
  const [file, ...leading] = agentProgram();
  const watching = execa(file, [...leading, 'approve', '--watch', '--socket', agent.socket], { reject: false });
  let shown = '';
  watching.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString('utf8')));
  using client = await RawClient.open(agent.socket);
  for (const [answer, type] of [
    ['y', 'signature'],
    ['n', 'failure'],
  ] as const) {
    const reply = client.ask(request());
    while (!shown.endsWith('[y/N] ')) await once(watching.stdout, 'data');
    watching.stdin.write(`${answer}\n`);
    expect(await reply).toMatchObject({ type });
    while (!/(allowed|denied)\n$/.test(shown)) await once(watching.stdout, 'data');
  }
  watching.stdin.end();
  expect(await watching).toMatchObject({ exitCode: 0, stderr: '' });
});

test.each([
  ['says yes', 'test "$SSH_ASKPASS_PROMPT" = confirm && echo yes', 'signature'],
  ['says nothing and ends well', 'exit 0', 'signature'],
  ['says no', 'echo no', 'failure'],
  ['ends badly', 'exit 1', 'failure'],
])('SSH_ASKPASS that %s', async (_, script, type) => {
  await agent[Symbol.asyncDispose]();
  const { path } = await makeConfig(`#!/bin/sh\n${script}\n`, 0o755);
  await prepare({ env: { SSH_ASKPASS: path, SSH_ASKPASS_REQUIRE: 'force' } });
  using client = await RawClient.open(agent.socket);
  expect(await client.ask(request())).toMatchObject({ type });
});

test('what is no request of the control API is refused in our own words', async () => {
  const curl = (...args: string[]) => execa('curl', ['-s', '-w', '%{http_code}', '--unix-socket', control, ...args]);
  expect((await curl('http://agent/v1/other')).stdout).toMatch(/"not-found".*404$/);
  const json = ['-H', 'content-type: application/json', '-d'];
  expect((await curl(...json, '{"allow":"evil"}', 'http://agent/v1/questions/none/answer')).stdout).toMatch(
    /"bad-request".*400$/,
  );
  expect((await curl(...json, `"${'x'.repeat(40_000)}"`, 'http://agent/v1/questions/none/answer')).stdout).toMatch(
    /"bad-request".*413$/,
  );
  expect((await curl(...json, '{', 'http://agent/v1/questions/none/answer')).stdout).not.toContain('Unexpected');
});

async function makeConfig(text: string, mode = 0o600): Promise<{ path: string }> {
  const path = join(files.path, `file-${randomUUID()}`);
  await writeFile(path, text, { mode });
  return { path };
}
