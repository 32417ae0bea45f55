/** `countersign-ca serve`, as a program: what it refuses to start with, and how it stops. */
import { once } from 'node:events';
import { appendFile, chmod, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { generateKeyPairSync } from 'node:crypto';
import type { Server as HttpsServer } from 'node:https';
import { type AddressInfo, type Socket, connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { caLayout } from '#ca-lite/directory/layout.ts';
import { openConfig } from '#ca-lite/directory/open-config.ts';
import { readSecret } from '#ca-lite/directory/secrets.ts';
import { createServer } from '#ca-lite/http/server.ts';
import { startHousekeeping } from '#ca-lite/serve/housekeeping.ts';
import { openCa } from '#ca-lite/serve/open-ca.ts';
import { createServerCertificate } from '#ca-lite/x509/certificate-authority.ts';
import { silent } from '#test/simulator/hostile-ssh/attackers.ts';
import { newHostKey, servesKeys } from '#test/simulator/hostile-ssh/key-servers.ts';
import { startDnsServer, zone } from '#test/simulator/dns/dns-server.ts';
import { startTcpServer } from '#test/simulator/hostile-ssh/tcp-server.ts';
import { CA_NAME, PASSPHRASE, type RunningCa, type TestCa, makeCa } from '#test/support/ca.ts';
import { EnrolmentClient, bodyOf, hostKeyPair } from '#test/support/enrolment-client.ts';
import type { LabProcess } from '#test/support/lab-process.ts';

const stack = new AsyncDisposableStack();
let within: string;
/** Never served itself: each test works on a copy. */
let original: TestCa;
let copies = 0;

beforeAll(async () => {
  within = await mkdtemp(join(tmpdir(), 'countersign-serve-'));
  stack.defer(async () => rm(within, { recursive: true, force: true }));
  original = await makeCa({ within, quick: true });
});
afterAll(async () => stack.disposeAsync());

async function copy(settings = {}): Promise<TestCa> {
  return original.copy(join(within, `copy-${(copies += 1)}`), settings);
}

async function clientOf({ ca, url }: RunningCa): Promise<EnrolmentClient> {
  return new EnrolmentClient({ url, rootPem: await ca.rootPem() });
}

/** A start that has to fail with status 1 and one clear message. */
async function expectNoStart(process: LabProcess, words: RegExp): Promise<string> {
  const { code } = await process.ended;
  expect({ code, stderr: process.stderr() }).toEqual({ code: 1, stderr: expect.stringMatching(words) as string });
  expect(process.stdout()).toBe('');
  expect(process.stderr()).not.toMatch(/\n {4}at |unforeseen/);
  return process.stderr();
}

describe('does not start', () => {
  test('with a wrong passphrase', async () => {
    const ca = await copy();
    const wrong = join(within, 'wrong');
    await writeFile(wrong, 'not the passphrase\n');
    await expectNoStart(ca.as({ passphraseFile: wrong }).startServing(), /passphrase does not open/);
  });

  test('where its port is taken', async () => {
    await using taken = await startTcpServer(() => {});
    const ca = await copy({ '': { address: `127.0.0.1:${taken.port}` } });
    await expectNoStart(ca.startServing(), /cannot listen.*EADDRINUSE/);
  });

  test('with a key that others can read', async () => {
    const ca = await copy();
    await chmod(caLayout(ca.directory).secret('ssh_host_ca'), 0o644);
    await expectNoStart(ca.startServing(), /ssh_host_ca\.key can be read by others .*chmod go=/);
  });

  test('without a key, and with a damaged one', async () => {
    const ca = await copy();
    const file = caLayout(ca.directory).secret('token');
    await truncate(file, 100);
    await expectNoStart(ca.startServing(), /token\.key is not a private key.*backup/);
    await rm(file);
    await expectNoStart(ca.startServing(), /token\.key cannot be read/);
  });

  test('with a broken ca.toml: all faults are named', async () => {
    const ca = await copy();
    await ca.set({
      '': { dns_names: ['no name'], colour: 'red' },
      enrolment: { names: ['*'], ports: [70_000], challenge_lifetime: '10m' },
      certificates: { host_lifetime: '30' },
    });
    const words = await expectNoStart(ca.startServing(), /ca\.toml cannot be used/);
    expect(words).toMatch(/unknown key "colour"/);
    expect(words).toMatch(/enrolment\.ports/);
    for (const key of [
      'dns_names[0]',
      'enrolment.names[0]',
      'enrolment.challenge_lifetime',
      'certificates.host_lifetime',
    ]) {
      expect(words).toContain(key);
    }
    await appendFile(caLayout(ca.directory).config, 'this is [not TOML');
    await expectNoStart(ca.startServing(), /line \d+: not valid TOML/);
  });

  test('without its store, and with an empty one', async () => {
    const ca = await copy();
    await rm(join(ca.directory, 'db'), { recursive: true });
    await expectNoStart(ca.startServing(), /store/i);
    const empty = await copy();
    await truncate(join(empty.directory, 'db', 'countersign.sqlite'));
    await expectNoStart(empty.startServing(), /is empty/);
  });

  test('in a directory that is none', async () => {
    const other = original.as({ directory: join(within, 'nowhere') });
    await expectNoStart(other.startServing(), /Is .* a CA directory\?/);
  });

  test('beside another one on the same directory; and does once that one is gone, however it went', async () => {
    const ca = await copy();
    await using first = await ca.serve();
    const words = await expectNoStart(ca.startServing(), /has .* open/);
    expect(words).toContain(String(first.process.pid));
    await using client = await clientOf(first);
    expect((await client.request('GET', '/health')).status).toBe(200);
    first.process.signal('SIGKILL');
    await first.process.ended;
    await using second = await ca.serve();
    expect((await second.process.stop()).code).toBe(0);
  });
});

describe('the TLS certificate', () => {
  /** What a client sees: the end of the certificate of a connection that was verified. @throws when it is not accepted */
  async function seen({ port, ca }: Pick<RunningCa, 'port' | 'ca'>, servername: string): Promise<Date> {
    const socket = connect({ host: '127.0.0.1', port, servername, ca: [await ca.rootPem()] });
    try {
      await once(socket, 'secureConnect');
      return new Date(socket.getPeerCertificate().valid_to);
    } finally {
      socket.destroy();
    }
  }

  async function writeServerCertificate(ca: TestCa, made: Date): Promise<void> {
    const layout = caLayout(ca.directory);
    const passphrase = Buffer.from(PASSPHRASE);
    const intermediate = {
      certificatePem: await readFile(layout.intermediateCertificate, 'utf8'),
      privateKey: await readSecret(layout, 'intermediate', passphrase),
    };
    const key = await readSecret(layout, 'server', passphrase);
    const { certificatePem } = await createServerCertificate([CA_NAME, '127.0.0.1'], intermediate, key, made);
    await writeFile(layout.serverCertificate, certificatePem);
  }

  const day = 86_400_000;
  test.each([
    ['has expired', -60 * day],
    ['has less than a third of its life left', -25 * day],
    ['is not valid yet, since the clock was set back', 10 * day],
  ])('is replaced when it %s', async (_what, offset) => {
    const ca = await copy();
    await writeServerCertificate(ca, new Date(Date.now() + offset));
    const old = await readFile(caLayout(ca.directory).serverCertificate, 'utf8');
    await using running = await ca.serve();
    expect((await seen(running, CA_NAME)).getTime()).toBeGreaterThan(Date.now() + 29 * day);
    expect(await readFile(caLayout(ca.directory).serverCertificate, 'utf8')).not.toBe(old);
  });

  test('is replaced while the CA serves, and connections that are open go on', async () => {
    const ca = await copy();
    const layout = caLayout(ca.directory);
    const [config, log, start] = [
      await openConfig(layout),
      pino({ level: 'silent' }),
      BigInt(Math.floor(Date.now() / 1000)),
    ];
    let now = start - 21n * 86_400n; // so that both certificates are valid for this test's own clock
    await using open = await openCa({ layout, config, passphrase: Buffer.from(PASSPHRASE), log, now: () => now });
    const server = await createServer({ current: open.context }, open.tls.material);
    await server.listen({ host: '127.0.0.1', port: 0 });
    const { port } = server.server.address() as AddressInfo;
    const renewed = Promise.withResolvers<void>();
    vi.useFakeTimers({ toFake: ['setInterval'] });
    using _housekeeping = startHousekeeping(open.context, open.tls, (material) => {
      (server.server as HttpsServer).setSecureContext(material);
      renewed.resolve();
    });
    await using client = new EnrolmentClient({ url: `https://127.0.0.1:${port}`, rootPem: await ca.rootPem() });
    expect((await client.request('GET', '/health')).status).toBe(200);
    const before = await seen({ port, ca }, CA_NAME);
    now = start;
    vi.advanceTimersByTime(60_000);
    vi.useRealTimers();
    await renewed.promise;
    expect((await seen({ port, ca }, CA_NAME)).getTime() - before.getTime()).toBe(21 * day);
    expect((await client.request('GET', '/health')).status).toBe(200);
    await server.close();
  });

  test('stays while it is good, and follows the names in ca.toml', async () => {
    const ca = await copy();
    const { serverCertificate } = caLayout(ca.directory);
    const before = await readFile(serverCertificate, 'utf8');
    const first = await ca.serve();
    await first.process.stop();
    expect(await readFile(serverCertificate, 'utf8')).toBe(before);
    await ca.set({ '': { dns_names: ['new.lab.example', '127.0.0.1'] } });
    await using second = await ca.serve();
    expect((await seen(second, 'new.lab.example')).getTime()).toBeGreaterThan(Date.now());
    await expect(seen(second, CA_NAME)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });

  test('is also replaced when the file is gone or damaged', async () => {
    const ca = await copy();
    const { serverCertificate } = caLayout(ca.directory);
    await rm(serverCertificate);
    const first = await ca.serve();
    expect((await seen(first, CA_NAME)).getTime()).toBeGreaterThan(Date.now());
    await first.process.stop();
    await writeFile(serverCertificate, 'damaged');
    await using second = await ca.serve();
    expect((await seen(second, CA_NAME)).getTime()).toBeGreaterThan(Date.now());
  });
});

describe('stops', () => {
  const host = newHostKey('ed25519');
  const fingerprint = hostKeyPair(generateKeyPairSync('ed25519').privateKey).fingerprint;

  /** A CA that may dial loopback, where `h.lab.example` is. */
  async function serveWithHost(port: number): Promise<{ running: RunningCa; stop: AsyncDisposableStack }> {
    const stop = new AsyncDisposableStack();
    const dns = stop.use(await startDnsServer(zone({ 'h.lab.example': ['127.0.0.1'] })));
    const enrolment = { insecure_allow_loopback: true, ports: [port] };
    const ca = await copy({ dns: { servers: [dns.address] }, enrolment });
    const running = stop.use(await ca.serve());
    return { running, stop };
  }

  async function listens(port: number): Promise<boolean> {
    const socket = connectTcp(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  }

  test.each(['SIGTERM', 'SIGINT'] as const)('by %s: a request in flight gets its answer first', async (signal) => {
    const dialled = Promise.withResolvers<Socket>();
    await using server = await startTcpServer((socket) => {
      silent(socket);
      dialled.resolve(socket);
    });
    const { running, stop } = await serveWithHost(server.port);
    await using _stop = stop;
    await using client = await clientOf(running);
    await using other = await clientOf(running);
    expect((await other.request('GET', '/health')).status).toBe(200); // a kept connection, idle
    const claim = { names: ['h.lab.example'], addresses: ['127.0.0.1'], fingerprint, port: server.port };
    const inFlight = client.challenge(claim);
    const peer = await dialled.promise;
    running.process.signal(signal);
    while (await listens(running.port)) await sleep(20);
    peer.end(); // only now is there an answer, unless this took so long that the silence was one
    expect((await inFlight).json?.code).toMatch(/^dial-back-(not-ssh|too-slow)$/);
    expect(await running.process.ended).toEqual({ code: 0, signal: null });
    await expect(other.request('GET', '/health')).rejects.toBeInstanceOf(Error);
  });

  test('and nothing is half written: each token in flight is either redeemed and answered, or as good as before', async () => {
    const ca = await copy();
    const running = await ca.serve();
    await using client = await clientOf(running);
    const tokens = await Promise.all(Array.from({ length: 4 }, async () => ca.token('--user', 'alice')));
    const keys = tokens.map(() => hostKeyPair(generateKeyPairSync('ed25519').privateKey));
    const requests = tokens.map(async (token, i) => {
      const answer = await client.sign(token, keys[i]?.blob ?? new Uint8Array()).catch(() => undefined);
      return answer?.status;
    });
    await Promise.race(requests);
    expect((await running.process.stop()).code).toBe(0);
    const statuses = await Promise.all(requests);
    const records = await ca.json<{ keyFingerprint: string; state: string }[]>('certs');
    for (const [i, status] of statuses.entries()) {
      const states = records.filter((one) => one.keyFingerprint === keys[i]?.fingerprint).map(({ state }) => state);
      expect(states).toEqual(status === 201 ? ['issued'] : []);
    }
    await using again = await ca.serve();
    await using later = await clientOf(again);
    for (const [i, status] of statuses.entries()) {
      const answer = await later.sign(tokens[i] ?? '', keys[i]?.blob ?? new Uint8Array());
      expect(answer.status).toBe(status === 201 ? 401 : 201);
    }
  });

  test('though clients hold connections open and say nothing', async () => {
    await using server = await startTcpServer(servesKeys(() => [host]));
    const { running, stop } = await serveWithHost(server.port);
    await using _stop = stop;
    const rootPem = await running.ca.rootPem();
    const sockets = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const socket = connect({ host: '127.0.0.1', port: running.port, ca: [rootPem], servername: CA_NAME });
        socket.on('error', () => {});
        await once(socket, 'secureConnect');
        if (i % 2 === 0) socket.write('GET /health HTTP/1.1\r\nHost: ca'); // half a request
        return socket;
      }),
    );
    expect(bodyOf(await (await clientOf(running)).request('GET', '/health'))).toEqual({ status: 'ok' });
    running.process.signal('SIGTERM');
    expect(await running.process.ended).toEqual({ code: 0, signal: null });
    for (const socket of sockets) socket.destroy();
  });
});
