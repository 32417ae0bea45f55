/** The simulator started alone, its connector's manners, and what survives when it is killed. */
import { spawn } from 'node:child_process';
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { getPublicKey, signEddsa } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import { getLogEntries } from '#ca-lite/yubihsm/commands/log.ts';
import { openConnector } from '#ca-lite/yubihsm/connector.ts';
import { openSession } from '#ca-lite/yubihsm/session.ts';
import { ed25519SignExpanded } from '#test/yubihsm-simulator/ed25519-expanded.ts';
import { importMaterial } from '#test/yubihsm-simulator/key-material.ts';
import { algorithm, commandNumber } from '#test/yubihsm-simulator/numbers.ts';
import { publishedMs } from '#test/yubihsm-simulator/timing.ts';
import { factoryKeys, makeKey, startBench } from './yubihsm-fixture.ts';

const program = join(import.meta.dirname, '../yubihsm-simulator/main.ts');

/** Starts the program on a free port; returns its URL and a way to kill it. */
async function startAlone(stateFile: string): Promise<{ url: string; kill: () => Promise<void> }> {
  const child = spawn(process.execPath, [program, '--port', '0', '--state', stateFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  };
  onTestFinished(kill);
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { url: line.slice(line.indexOf('http')), kill };
}

test('started alone and killed, it keeps objects, log and options, and says what it is for', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'simulator-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const stateFile = join(directory, 'state.json');
  const publicKeys: unknown[] = [];
  const entries: number[] = [];
  for (const round of [1, 2]) {
    const { url, kill } = await startAlone(stateFile);
    await using connector = openConnector(url);
    const session = await openSession({ connector, authKeyId: 1, keys: factoryKeys });
    if (round === 1) await makeKey(session, 5, 'ed25519', 'sign-eddsa');
    publicKeys.push(await session.execute(getPublicKey(5)));
    entries.push((await session.execute(getLogEntries())).entries.length);
    await kill();
  }
  expect(publicKeys[1]).toEqual(publicKeys[0]);
  expect(entries).toEqual([2, 3]);
  expect(await readFile(stateFile, 'utf8')).toContain('for development and tests only');
});

test('started with --help it tells its options, and with a wrong one too, as an error', async () => {
  const run = (...words: string[]) => execa(process.execPath, [program, ...words], { reject: false, timeout: 60_000 });
  const help = await run('--help');
  expect(help).toMatchObject({ exitCode: 0, stderr: '' });
  expect(help.stdout).toContain('--realtime');
  for (const wrong of [['--nope'], ['--port', 'x'], ['--firmware', '2'], ['--reading', 'both']]) {
    const refused = await run(...wrong);
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
    expect(refused.stderr).toContain('usage:');
  }
});

test('faults and figures over HTTP, for tests in other processes', async () => {
  await using bench = await startBench();
  const { url } = bench.simulator;
  const post = async (body: object): Promise<number> =>
    (await fetch(`${url}/simulator/fault`, { method: 'POST', body: JSON.stringify(body) })).status;
  expect(await post({ deviceGone: true })).toBe(200);
  await expect(bench.session()).rejects.toMatchObject({ code: 'connector-failed' });
  await post({ deviceGone: false });
  await using session = await bench.session();
  await post({ fault: { kind: 'drop', when: 'before' } });
  await expect(session.keepAlive()).rejects.toMatchObject({ code: 'outcome-unknown' });
  const statistics = (await (await fetch(`${url}/simulator/statistics`)).json()) as { openSessions: number };
  expect(statistics.openSessions).toBe(1);
});

describe('the connector', () => {
  test.each([
    ['GET', '/connector/api', undefined, 405],
    ['POST', '/connector/status', '', 405],
    ['GET', '/other', undefined, 404],
    ['POST', '/connector/api', 'ab', 400],
    ['POST', '/connector/api', 'a'.repeat(3140), 400],
    ['POST', '/connector/api', 'a'.repeat(3139), 200],
  ])('answers %s %s as the real one does', async (method, path, body, status) => {
    await using bench = await startBench();
    const answer = await fetch(bench.simulator.url + path, { method, ...(body !== undefined && { body }) });
    expect(answer.status).toBe(status);
  });

  test('refuses a chunked body, and echoes a request id', async () => {
    await using bench = await startBench();
    const outgoing = request(`${bench.simulator.url}/connector/api`, {
      method: 'POST',
      headers: { 'Transfer-Encoding': 'chunked', 'X-Request-ID': 'abc' },
    });
    outgoing.end('\u0001\u0000\u0000');
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    answer.resume();
    expect([answer.statusCode, answer.headers['x-request-id']]).toEqual([400, 'abc']);
  });

  test.each([
    ['an echo', '0100020102', '8100020102'],
    ['a length that is wrong', '01000301', '7f000108'],
    ['a command that is none', '3f0000', '7f000101'],
    ['a command outside a session', '480000', '7f000101'],
    ['a session that is not there', `050019ff${'00'.repeat(24)}`, '7f000103'],
    ['an authentication key that is not there', `03000a0009${'00'.repeat(8)}`, '7f00010b'],
  ])('brings the plain message to the device: %s', async (_, message, answer) => {
    await using bench = await startBench();
    const bytes = await bench.connector.exchange(Buffer.from(message, 'hex'), AbortSignal.timeout(5000));
    expect(Buffer.from(bytes).toString('hex')).toBe(answer);
  });

  test('takes longer messages from firmware 2.4 on', async () => {
    const longest = async (minor: number): Promise<number> => {
      await using bench = await startBench({ firmware: [2, minor, 0] });
      return bench.simulator.device.maxMessage;
    };
    expect([await longest(3), await longest(4)]).toEqual([2048, 3136]);
  });
});

test('an Ed25519 key without its seed signs as node:crypto signs with it', () => {
  for (let round = 0; round < 5; round++) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const seed = Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url');
    const material = importMaterial(algorithm.ed25519, seed, false);
    const message = Buffer.from(`message ${round}`);
    const scalar = Buffer.from(material.subarray(0, 32).toReversed());
    const signature = ed25519SignExpanded(scalar, material.subarray(32, 64), material.subarray(64), message);
    expect(signature.equals(sign(null, message, privateKey))).toBe(true);
    expect(verify(null, message, publicKey, signature)).toBe(true);
  }
});

test('an Ed25519 key without its seed is used after an import, too', async () => {
  await using bench = await startBench({ firmware: [2, 3, 0] });
  await using session = await bench.session();
  await makeKey(session, 5, 'ed25519', 'sign-eddsa');
  expect(await session.execute(signEddsa(5, new Uint8Array(3)))).toHaveLength(64);
});

test('the published times', () => {
  expect(publishedMs(commandNumber.signEcdsa, algorithm.p256, 34)).toBe(73);
  expect(publishedMs(commandNumber.signSshCertificate, algorithm.rsa4096, 900)).toBe(852);
  expect(publishedMs(commandNumber.signEddsa, algorithm.ed25519, 34)).toBe(105);
  expect(publishedMs(commandNumber.signEddsa, algorithm.ed25519, 1026)).toBe(353);
  expect(publishedMs(commandNumber.signEddsa, algorithm.ed25519, 770)).toBeCloseTo(291, 0);
  expect(publishedMs(commandNumber.signEddsa, algorithm.ed25519, 2050)).toBeGreaterThan(590);
  expect(publishedMs(commandNumber.echo, undefined, 1)).toBe(0);
});
