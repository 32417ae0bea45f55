/** The dial-back over real TCP: a real sshd, and servers that lie, stall, flood or are something else. */
import { getEventListeners } from 'node:events';
import type { Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ParsedKey } from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAddress } from '#ca-lite/address/address.ts';
import { type DialableAddress, checkDialable } from '#ca-lite/address/dialable.ts';
import { type DialBackRequest, Dialer } from '#ca-lite/dial-back/dialer.ts';
import {
  type DialBackCapacity,
  type DialBackLimits,
  defaultDialBackCapacity,
  defaultDialBackLimits,
} from '#ca-lite/dial-back/limits.ts';
import type { DialBackResult } from '#ca-lite/dial-back/outcome.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import * as attackers from '#test/simulator/hostile-ssh/attackers.ts';
import { startDeafServer } from '#test/simulator/hostile-ssh/deaf-server.ts';
import { forgedKey, newHostKey, replays, servesKeys, showing } from '#test/simulator/hostile-ssh/key-servers.ts';
import { type RealSshd, startRealSshd } from '#test/simulator/hostile-ssh/real-sshd.ts';
import { readPlainSide, recordingsOf, startRecorder } from '#test/simulator/hostile-ssh/recorder.ts';
import { type TcpServer, startTcpServer } from '#test/simulator/hostile-ssh/tcp-server.ts';

const never = new AbortController().signal;
const LOOPBACK = dialable('127.0.0.1');
/** Short, so that servers that stall are found out soon. A busy machine can seem to stall as well: only for servers that do. */
const quick: DialBackLimits = { ...defaultDialBackLimits, idleMilliseconds: 150, totalMilliseconds: 600 };

function dialable(text: string): DialableAddress {
  const verdict = checkDialable(parseAddress(text), { allowed: [], own: [], allowLoopback: true });
  return verdict.allowed ? verdict.address : expect.unreachable();
}

interface Options extends Partial<DialBackRequest> {
  readonly dialer?: Dialer;
  readonly address?: DialableAddress;
  readonly signal?: AbortSignal;
}

function dial(
  port: number,
  { dialer = new Dialer(), signal = never, ...request }: Options = {},
): Promise<DialBackResult> {
  return dialer.dialBack({ requester: 'test', address: LOOPBACK, port, ...request }, signal);
}

/** What comes of dialling a server; checks too that the connection is gone and nothing is left over. */
async function dialOnce(
  serve: (socket: Socket, number: number) => void,
  limits: DialBackLimits = defaultDialBackLimits,
): Promise<DialBackResult> {
  await using server = await startTcpServer(serve);
  const controller = new AbortController();
  const dialer = new Dialer(limits);
  const result = await dial(server.port, { dialer, signal: controller.signal });
  await server.drained();
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  expect(dialer.idle).toBe(true);
  expect(result).toMatchObject({ address: LOOPBACK, port: server.port, connections: server.accepted });
  return result;
}

/** Dials again where this machine was too busy to get as far as the test is about. */
async function unlessBusy(
  dialling: () => Promise<DialBackResult>,
  isBusy: (result: DialBackResult) => boolean,
): Promise<DialBackResult> {
  for (;;) {
    const result = await dialling();
    if (!isBusy(result)) return result;
  }
}

const isUnconnected = (result: DialBackResult): boolean =>
  result.code === 'unreachable' && result.cause === 'timed-out';

const fingerprint = (key: ParsedKey): Fingerprint => fingerprintOf(key.getPublicSSH());
const elsewhere = fingerprintOf(Buffer.from('the key of another host'));

describe('a real sshd with an Ed25519, two ECDSA and an RSA key, and a certificate', () => {
  let sshd: RealSshd;
  beforeAll(async () => {
    sshd = await startRealSshd({
      keys: [
        { type: 'rsa', bits: 3072 },
        { type: 'ecdsa', bits: 521 },
        { type: 'ecdsa', bits: 256, certified: true },
        { type: 'ed25519', certified: true },
      ],
    });
  });
  afterAll(() => sshd[Symbol.asyncDispose]());

  test.each([
    ['RSA', 0, 3],
    ['ECDSA P-521', 1, 4],
    ['ECDSA P-256', 2, 2],
    ['Ed25519', 3, 1],
  ])(
    'its %s key is found by the fingerprint alone, and in one connection with the type for a hint',
    async (_name, index, connections) => {
      const { key, blob } = sshd.hostKeys[index] ?? expect.unreachable();
      const wanted = fingerprintOf(blob);
      const found = await dial(sshd.port, { fingerprint: wanted });
      expect(found).toMatchObject({
        code: 'proven',
        key: { type: key.type, blob: new Uint8Array(blob), fingerprint: wanted },
      });
      expect(found.connections).toBe(connections);
      const hinted = await dial(sshd.port, { fingerprint: wanted, hint: key.type });
      expect(hinted).toMatchObject({ code: 'proven', connections: 1, key: { fingerprint: wanted } });
    },
  );

  test('a wrong hint costs a connection and nothing else', async () => {
    const { blob } = sshd.hostKeys[3] ?? expect.unreachable();
    const found = await dial(sshd.port, { fingerprint: fingerprintOf(blob), hint: 'ssh-rsa' });
    expect(found).toMatchObject({ code: 'proven', connections: 2, key: { type: 'ssh-ed25519' } });
  });

  test('a key that it does not have is not found, after one connection for each key that it has', async () => {
    expect(await dial(sshd.port, { fingerprint: elsewhere })).toMatchObject({ code: 'key-not-found', connections: 4 });
  });

  test('without a fingerprint the first key it proves is the result', async () => {
    expect(await dial(sshd.port)).toMatchObject({ code: 'proven', connections: 1, key: { algorithm: 'ssh-ed25519' } });
    expect(await dial(sshd.port, { hint: 'ssh-rsa' })).toMatchObject({
      code: 'proven',
      key: { algorithm: 'rsa-sha2-512' },
    });
  });

  test('the key exchange is all that is sent: no service request, no authentication', async () => {
    await using recorder = await startRecorder(sshd);
    expect(await dial(recorder.server.port, { fingerprint: elsewhere })).toMatchObject({ connections: 4 });
    for (const { fromClient } of await recordingsOf(recorder, 4)) {
      const { versionLine, messages, encrypted } = readPlainSide(fromClient);
      expect(versionLine).toBe('SSH-2.0-Countersign_dial-back');
      expect(messages.map((message) => message[0])).toEqual([20, 30, 21]); // KEXINIT, KEX_ECDH_INIT, NEWKEYS
      expect(encrypted).toHaveLength(0);
    }
  });

  test('strict key exchange is offered, and certificates and SHA-1 are not asked for', async () => {
    await using recorder = await startRecorder(sshd);
    await dial(recorder.server.port);
    const [recording] = await recordingsOf(recorder, 1);
    const offer = readPlainSide(recording?.fromClient ?? expect.unreachable()).messages[0]?.toString('latin1');
    expect(offer).toContain('kex-strict-c-v00@openssh.com');
    expect(offer).not.toMatch(/cert-v01|ssh-rsa|ssh-dss|sha1|group-exchange|zlib|cbc/);
  });

  test('what it sent in one exchange proves nothing in the next', async () => {
    await using recorder = await startRecorder(sshd);
    expect(await dial(recorder.server.port)).toMatchObject({ code: 'proven' });
    const [recording] = await recordingsOf(recorder, 1);
    const result = await dialOnce(replays(recording?.fromServer ?? expect.unreachable()));
    expect(result).toMatchObject({ code: 'signature-invalid' });
  });

  test('500 dial-backs leave no socket, timer or listener behind', async () => {
    const dialer = new Dialer(defaultDialBackLimits, {
      ...defaultDialBackCapacity,
      requester: { running: 8, waiting: 500 },
      target: { running: 8, waiting: 500 },
      waitMilliseconds: 120_000,
    });
    const { signal } = new AbortController();
    const before = resources();
    const results = await Promise.all(Array.from({ length: 500 }, () => dial(sshd.port, { dialer, signal })));
    expect(results.map(({ code }) => code)).toEqual(Array.from({ length: 500 }, () => 'proven'));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(dialer.idle).toBe(true);
    while (resources().length > before.length) await sleep(10); // the test runner has timers of its own now and then
  });
});

/** Sockets and timers that keep this process alive. */
function resources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => name.startsWith('TCPSocket') || name.startsWith('TCPConnect') || name === 'Timeout');
}

describe('a host that only has', () => {
  test.each([
    ['Ed25519', 'ed25519', 'ssh-ed25519'],
    ['ECDSA', 'ecdsa', 'ecdsa-sha2-nistp256'],
    ['RSA', 'rsa', 'rsa-sha2-512'],
  ] as const)('%s proves it', async (_name, kind, algorithm) => {
    const key = newHostKey(kind);
    const result = await dialOnce(servesKeys(() => [key]));
    expect(result).toMatchObject({ code: 'proven', key: { algorithm, fingerprint: fingerprint(key) } });
  });
});

describe('a key counts only when the exchange is signed with it', () => {
  test.each(['ed25519', 'ecdsa', 'rsa'] as const)(
    'a server that shows the %s key of another host is found out',
    async (kind) => {
      const [victim, attacker] = [newHostKey(kind), newHostKey(kind)];
      const result = await dialOnce(servesKeys(() => [forgedKey(victim, attacker)]));
      expect(result).toMatchObject({ code: 'signature-invalid' });
      expect(result).not.toHaveProperty('key');
    },
  );

  test('also when the fingerprint in the request is the one it shows', async () => {
    const [victim, attacker] = [newHostKey('ed25519'), newHostKey('ed25519')];
    await using server = await startTcpServer(servesKeys(() => [forgedKey(victim, attacker)]));
    expect(await dial(server.port, { fingerprint: fingerprint(victim) })).toMatchObject({ code: 'signature-invalid' });
  });

  test('a server that answers with another key the next time does not have the first one', async () => {
    const [first, second] = [newHostKey('ed25519'), newHostKey('ed25519')];
    await using server = await startTcpServer(servesKeys((connection) => [connection === 1 ? first : second]));
    expect(await dial(server.port, { fingerprint: fingerprint(first) })).toMatchObject({ code: 'proven' });
    expect(await dial(server.port, { fingerprint: fingerprint(first) })).toMatchObject({
      code: 'key-not-found',
      connections: 1,
    });
  });

  test('a key that is written in another way than its own is refused, although the signature is right', async () => {
    const ed25519 = newHostKey('ed25519');
    const ecdsa = newHostKey('ecdsa');
    const trailing = Buffer.concat([ed25519.getPublicSSH(), Buffer.from('x')]);
    const otherCurve = Buffer.from(ecdsa.getPublicSSH());
    otherCurve.write('nistp384', otherCurve.lastIndexOf('nistp256'));
    for (const [key, blob] of [
      [ed25519, trailing],
      [ecdsa, otherCurve],
    ] as const) {
      expect(await dialOnce(servesKeys(() => [showing(key, blob)]))).toMatchObject({
        code: 'handshake-failed',
        connections: 1,
      });
    }
  });
});

describe('a server that', () => {
  const bannerTarpit = attackers.tarpit(40, 'Welcome\r\n');
  const afterVersion = attackers.tarpit(40, '\0\0\0\x7c');
  const versionThenTarpit = (socket: Socket): void => {
    socket.write(attackers.VERSION_LINE);
    afterVersion(socket);
  };
  test.each([
    { what: 'is silent', attacker: attackers.silent, code: 'too-slow' },
    { what: 'is silent after its version line', attacker: attackers.silentAfterVersion, code: 'too-slow' },
    { what: 'trickles a banner', attacker: bannerTarpit, code: 'too-slow' },
    { what: 'trickles a packet', attacker: versionThenTarpit, code: 'too-slow' },
    { what: 'closes at once', attacker: attackers.closesAtOnce, code: 'not-ssh' },
    { what: 'closes after its version line', attacker: attackers.closesAfterVersion, code: 'handshake-failed' },
    { what: 'speaks SSH 1', attacker: attackers.speaksSsh1, code: 'not-ssh' },
    { what: 'speaks HTTP', attacker: attackers.speaksHttp, code: 'not-ssh' },
    { what: 'sends garbage', attacker: attackers.sendsGarbage, code: 'not-ssh' },
    { what: 'garbles its version line', attacker: attackers.garblesVersion, code: 'not-ssh' },
    { what: 'floods with banner lines', attacker: attackers.floodsBannerLines, code: 'too-much-data' },
    { what: 'floods with one line', attacker: attackers.floodsOneLine, code: 'too-much-data' },
    { what: 'floods with a version line', attacker: attackers.floodsVersionLine, code: 'too-much-data' },
    { what: 'sends KEXINIT twice', attacker: attackers.sendsKexinitTwice, code: 'handshake-failed' },
    { what: 'floods with messages to ignore', attacker: attackers.floodsIgnore, code: 'too-much-data' },
    { what: 'announces a packet of 2 GiB', attacker: attackers.announcesHugePacket, code: 'handshake-failed' },
    { what: 'has only key types that are not asked for', attacker: attackers.hasOnlyOldKeys, code: 'key-not-found' },
    { what: 'skips the exchange', attacker: attackers.skipsTheExchange, code: 'handshake-failed' },
    { what: 'disconnects with a text', attacker: attackers.disconnectsRudely, code: 'handshake-failed' },
  ])('$what: $code', async ({ attacker, code }) => {
    const limits = code === 'too-slow' ? quick : defaultDialBackLimits;
    const result = await unlessBusy(async () => dialOnce(attacker, limits), isUnconnected);
    expect(result).toMatchObject({ code, connections: 1 });
    expect(JSON.stringify(result)).not.toMatch(/ECHO-ME|root|html|Unauthorised/);
  });

  test('resets is unreachable', async () => {
    expect(await dialOnce(attackers.resets)).toMatchObject({ code: 'unreachable', cause: 'reset' });
  });

  test('is not there is unreachable', async () => {
    const gone = await startTcpServer(() => {});
    await gone[Symbol.asyncDispose]();
    expect(await dial(gone.port)).toMatchObject({ code: 'unreachable', cause: 'refused', connections: 1 });
  });

  test('never takes the connection is unreachable', async () => {
    await using deaf = await startDeafServer();
    const dialer = new Dialer({ ...quick, connectMilliseconds: 100 });
    expect(await dial(deaf.port, { dialer })).toMatchObject({ code: 'unreachable', cause: 'timed-out' });
  });

  test('stalls in the second connection ends the dial-back as a whole in time', async () => {
    const key = newHostKey('ed25519');
    const other = newHostKey('rsa');
    const honest = servesKeys(() => [key, other]);
    const limits = { ...defaultDialBackLimits, totalMilliseconds: quick.totalMilliseconds };
    const dialling = async (): Promise<DialBackResult> => {
      await using server = await startTcpServer((socket, number) =>
        number === 1 ? honest(socket, number) : bannerTarpit(socket),
      );
      return await dial(server.port, { dialer: new Dialer(limits), fingerprint: fingerprint(other) });
    };
    const result = await unlessBusy(dialling, (one) => one.connections === 1 || isUnconnected(one));
    expect(result).toMatchObject({ code: 'too-slow', connections: 2 });
  });
});

describe('an abort', () => {
  test('before', async () => {
    await using server = await startTcpServer(attackers.silent);
    expect(await dial(server.port, { signal: AbortSignal.abort() })).toMatchObject({ code: 'aborted', connections: 0 });
    expect(server.accepted).toBe(0);
  });

  test.each([
    ['while connected', attackers.silent],
    ['in the middle of the exchange', attackers.silentAfterVersion],
  ])('%s', async (_when, attacker) => {
    const connected = Promise.withResolvers<void>();
    await using server = await startTcpServer((socket) => {
      attacker(socket);
      socket.once('data', () => connected.resolve());
    });
    const controller = new AbortController();
    const dialing = dial(server.port, { signal: controller.signal });
    await connected.promise;
    controller.abort();
    expect(await dialing).toMatchObject({ code: 'aborted', connections: 1 });
    await server.drained();
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  test('while waiting for a slot', async () => {
    await using server = await startTcpServer(attackers.silent);
    const dialer = new Dialer();
    const [holder, waiter] = [new AbortController(), new AbortController()];
    const holding = dial(server.port, { dialer, signal: holder.signal });
    const waiting = dial(server.port, { dialer, signal: waiter.signal });
    waiter.abort();
    expect(await waiting).toMatchObject({ code: 'aborted', connections: 0 });
    holder.abort();
    expect(await holding).toMatchObject({ code: 'aborted', connections: 1 });
    expect(dialer.idle).toBe(true);
  });
});

describe('what runs at once is bounded', () => {
  const many = { running: 100, waiting: 100 };
  const open: DialBackCapacity = { total: many, requester: many, target: many, waitMilliseconds: 10_000 };
  const slow: DialBackLimits = { ...defaultDialBackLimits, idleMilliseconds: 60 };

  async function dialTenTimes(
    capacity: Partial<DialBackCapacity>,
    server: TcpServer,
    vary: (i: number) => Options,
  ): Promise<string[]> {
    const dialer = new Dialer(slow, { ...open, ...capacity });
    const results = await Promise.all(Array.from({ length: 10 }, (_, i) => dial(server.port, { dialer, ...vary(i) })));
    expect(dialer.idle).toBe(true);
    return results.map(({ code }) => code);
  }

  const apart = (i: number): Options => ({ requester: `r${i}`, address: dialable(`127.0.0.${i + 1}`) });
  const twoRunThreeWait = { running: 2, waiting: 3 };
  test.each([
    ['in total', { total: twoRunThreeWait }, apart],
    ['for one requester', { requester: twoRunThreeWait }, (i: number) => ({ ...apart(i), requester: 'r' })],
    ['for one target address', { target: twoRunThreeWait }, (i: number) => ({ ...apart(i), address: LOOPBACK })],
  ])('%s, and so is what waits', async (_what, capacity, vary) => {
    await using server = await startTcpServer(attackers.silent, { host: '0.0.0.0' });
    const codes = await dialTenTimes(capacity, server, vary);
    expect(codes.filter((code) => code === 'too-slow')).toHaveLength(5);
    expect(codes.filter((code) => code === 'dial-back-busy')).toHaveLength(5);
    expect(server.peak).toBeLessThanOrEqual(2);
    expect(server.accepted).toBe(5);
  });

  test('a wait has an end', async () => {
    await using server = await startTcpServer(attackers.silent);
    const codes = await dialTenTimes({ target: { running: 1, waiting: 9 }, waitMilliseconds: 10 }, server, () => ({}));
    expect(codes.filter((code) => code === 'dial-back-busy')).toHaveLength(9);
  });

  test('a target is an address: its other ports do not count apart', async () => {
    await using one = await startTcpServer(attackers.silent);
    await using other = await startTcpServer(attackers.silent);
    const dialer = new Dialer(slow, { ...open, target: { running: 1, waiting: 0 } });
    const results = await Promise.all([dial(one.port, { dialer }), dial(other.port, { dialer })]);
    expect(results.map(({ code }) => code)).toEqual(['too-slow', 'dial-back-busy']);
  });
});

describe('all addresses of a host', () => {
  const hasIpv6 = networkInterfaces().lo?.some(({ address }) => address === '::1') ?? false;
  const texts = ['127.0.0.1', '127.0.0.2', '127.0.0.3', ...(hasIpv6 ? ['::1'] : [])];
  const addresses = texts.map(dialable);

  test('prove one key, with a real sshd', async () => {
    await using sshd = await startRealSshd({ keys: [{ type: 'ed25519' }], addresses: texts });
    const wanted = fingerprintOf(sshd.hostKeys[0]?.blob ?? expect.unreachable());
    const result = await new Dialer().dialBackAll(
      { requester: 'test', addresses, port: sshd.port, fingerprint: wanted },
      never,
    );
    expect(result.proven).toBe(true);
    expect(result.results.map(({ address, code }) => [address.text, code])).toEqual(
      texts.map((text) => [text, 'proven']),
    );
  });

  test('the one that has another key is named, with the reason', async () => {
    const [key, other] = [newHostKey('ed25519'), newHostKey('ed25519')];
    await using right = await startTcpServer(servesKeys(() => [key]));
    await using wrong = await startTcpServer(
      servesKeys(() => [other]),
      { host: '127.0.0.2', port: right.port },
    );
    const both = [LOOPBACK, dialable(wrong.host)];
    const request = { requester: 'test', addresses: both, port: right.port, fingerprint: fingerprint(key) };
    const result = await new Dialer().dialBackAll(request, never);
    expect(result).toMatchObject({
      proven: false,
      failed: { code: 'key-not-found', address: { text: '127.0.0.2' } },
      results: [{ code: 'proven' }, { code: 'key-not-found' }],
    });
  });

  test('are as many as a host can have, each once', async () => {
    const request = { requester: 'test', port: 22, fingerprint: elsewhere };
    const tooMany = Array.from({ length: 17 }, (_, i) => dialable(`127.0.0.${i + 1}`));
    for (const wrong of [[], tooMany, [LOOPBACK, LOOPBACK]]) {
      await expect(new Dialer().dialBackAll({ ...request, addresses: wrong }, never)).rejects.toBeInstanceOf(TypeError);
    }
  });

  test.each([0, 65_536, 22.5, Number.NaN])('port %d is the mistake of the caller', async (port) => {
    await expect(dial(port)).rejects.toBeInstanceOf(TypeError);
  });
});
