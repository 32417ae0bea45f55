/** Hostile bytes at the CA's door: broken HTTP, broken JSON, huge and endless requests, a thousand slow connections. It answers in one shape, and serves others. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTcp } from 'node:net';
import { type TLSSocket, connect } from 'node:tls';
import * as fc from 'fast-check';
import { Value } from 'typebox/value';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiErrorBody } from '#protocol/api-error.ts';
import { CA_NAME, type RunningCa, makeCa } from '#test/support/ca.ts';
import { EnrolmentClient } from '#test/support/enrolment-client.ts';

const stack = new AsyncDisposableStack();
let running: RunningCa;
let rootPem: string;
let client: EnrolmentClient;

beforeAll(async () => {
  const within = await mkdtemp(join(tmpdir(), 'countersign-hostile-'));
  stack.defer(async () => rm(within, { recursive: true, force: true }));
  const ca = await makeCa({ within, quick: true });
  running = stack.use(await ca.serve());
  rootPem = await ca.rootPem();
  client = clientFrom('127.0.0.1');
});
afterAll(async () => stack.disposeAsync());

function clientFrom(localAddress: string): EnrolmentClient {
  return stack.use(new EnrolmentClient({ url: running.url, rootPem, localAddress }));
}

async function open(localAddress = '127.0.0.1'): Promise<TLSSocket> {
  const tcp = connectTcp({ host: '127.0.0.1', port: running.port, localAddress });
  const socket = connect({ socket: tcp, servername: CA_NAME, ca: [rootPem] });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

/** Sends bytes as they are, and reads until the CA closes the connection. */
async function send(bytes: string | Uint8Array): Promise<string> {
  const socket = await open();
  let answer = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    answer += text;
  });
  socket.write(bytes);
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on('close', () => resolve(answer)); // also after a reset: the CA reads no more than it has to
  return promise;
}

/** Sends them again where the end of the connection has overtaken the answer: whoever still sends when it is closed may be reset. */
async function answerTo(bytes: string | Uint8Array): Promise<string> {
  for (;;) {
    const answer = await send(bytes);
    if (answer !== '') return answer;
  }
}

async function expectServing(): Promise<void> {
  expect(running.process.ending).toBeUndefined();
  expect((await clientFrom('127.0.0.9').request('GET', '/health')).status).toBe(200);
}

/** One answer in the CA's own shape of errors. */
function expectApiError(answer: string, status: number): void {
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  const parsed: unknown = JSON.parse(body);
  expect(Value.Check(ApiErrorBody, parsed)).toBe(true);
  expect(parsed).toMatchObject({ status });
}

const headers = `Host: ${CA_NAME}\r\nConnection: close\r\n`;
const json = 'Content-Type: application/json\r\n';

describe('broken HTTP is answered as a bad request', () => {
  test.each([
    ['no HTTP at all', 'HELO ca.lab.example\r\n\r\n', 400],
    ['bytes', Buffer.from(Array.from({ length: 512 }, (_, i) => (i * 73 + 29) % 256)), 400],
    ['an unknown method', `BREW /health HTTP/1.1\r\n${headers}\r\n`, 400],
    ['another version', `GET /health HTTP/9.9\r\n${headers}\r\n`, 400],
    [
      'two lengths',
      `POST /ssh/sign HTTP/1.1\r\n${headers}${json}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
      400,
    ],
    [
      'length and chunks together',
      `POST /ssh/sign HTTP/1.1\r\n${headers}${json}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    [
      'a chunk that is none',
      `POST /ssh/sign HTTP/1.1\r\n${headers}${json}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
      400,
    ],
    ['a header without a name', `GET /health HTTP/1.1\r\n${headers}: x\r\n\r\n`, 400],
    ['headers of 20 KiB', `GET /health HTTP/1.1\r\n${headers}X: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['a path of 20 KiB', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n${headers}\r\n`, 431],
    ['a path with a broken escape', `GET /root/%zz HTTP/1.1\r\n${headers}\r\n`, 400],
    ['a parameter that is too long', `GET /root/${'0'.repeat(4000)} HTTP/1.1\r\n${headers}\r\n`, 400],
    ['a path out of the tree', `GET /../../etc/passwd HTTP/1.1\r\n${headers}\r\n`, 404],
    [
      'a body of 1 MiB',
      `POST /ssh/sign HTTP/1.1\r\n${headers}${json}Content-Length: 1048576\r\n\r\n${'x'.repeat(1_048_576)}`,
      413,
    ],
    [
      'a body without an end',
      `POST /ssh/sign HTTP/1.1\r\n${headers}${json}Transfer-Encoding: chunked\r\n\r\n${'10000\r\n'.concat('x'.repeat(65_536), '\r\n').repeat(8)}`,
      413,
    ],
    ['no JSON', `POST /ssh/sign HTTP/1.1\r\n${headers}${json}Content-Length: 9\r\n\r\n{"ott": "`, 400],
    ['an empty body', `POST /ssh/sign HTTP/1.1\r\n${headers}${json}Content-Length: 0\r\n\r\n`, 400],
    [
      'a prototype in the body',
      `POST /ssh/sign HTTP/1.1\r\n${headers}${json}Content-Length: 19\r\n\r\n{"__proto__": null}`,
      400,
    ],
    [
      'a form',
      `POST /ssh/sign HTTP/1.1\r\n${headers}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b`,
      400,
    ],
    ['a body without a type', `POST /ssh/sign HTTP/1.1\r\n${headers}Content-Length: 2\r\n\r\n{}`, 400],
    [
      'an upgrade',
      `GET /health HTTP/1.1\r\nHost: ${CA_NAME}\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n`,
      200,
    ],
  ])('%s', async (_what, bytes, status) => {
    const answer = await answerTo(bytes);
    if (status === 200) expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    else expectApiError(answer, status);
    await expectServing();
  });
});

describe('random requests', () => {
  const routes = [
    '/ssh/sign',
    '/host/token',
    '/ssh/config',
    '/1.0/ssh/sign',
    '/ssh/renew',
    '/ssh/rekey',
    '/ssh/revoke',
    '/ssh/status',
  ];
  const members = [
    'publicKey',
    'ott',
    'certType',
    'keyID',
    'principals',
    'validAfter',
    'validBefore',
    'payload',
    'signature',
    'proof',
    'voucher',
    'type',
    'data',
    'serial',
    'passive',
  ];
  const base64 = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('base64'));
  const value = fc.oneof(
    { weight: 3, arbitrary: base64 },
    { weight: 3, arbitrary: fc.string({ unit: 'binary' }) },
    fc.jsonValue(),
  );
  const body = fc.dictionary(fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...members) }, fc.string()), value, {
    maxKeys: 8,
  });

  /** Refusals are counted for each requester: this test is many. */
  let requests = 0;
  const anybody = (): EnrolmentClient => {
    requests += 1;
    return requests % 200 === 1 ? (client = clientFrom(`127.0.1.${Math.ceil(requests / 200)}`)) : client;
  };

  function expectRefusal(answer: Awaited<ReturnType<EnrolmentClient['request']>>): void {
    expect(Value.Check(ApiErrorBody, answer.json)).toBe(true);
    expect(answer.json?.status).toBe(answer.status);
    expect([400, 401, 403, 404, 405, 413]).toContain(answer.status);
  }

  test('any JSON for any route is refused, never an internal failure', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...routes), fc.oneof(body, fc.jsonValue()), async (route, sent) => {
        const answer = await anybody().request('POST', route, sent);
        if (route === '/ssh/config' && answer.status === 200) return; // it asks for little
        expectRefusal(answer);
      }),
      { numRuns: 400, seed: 1 },
    );
    await expectServing();
  });

  test('any query for a challenge is refused', async () => {
    const names = ['name', 'ip', 'fingerprint', 'port', 'keyType', 'other'];
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.ipV4(),
      fc.ipV6(),
      fc.domain(),
      fc.constant(`SHA256:${'A'.repeat(43)}`),
    );
    const query = fc.array(fc.tuple(fc.constantFrom(...names), text), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(query, async (pairs) => {
        const search = new URLSearchParams(pairs.map(([name, value]) => [name, value.toWellFormed()]));
        expectRefusal(await anybody().request('GET', `/host/challenge?${search.toString()}`));
      }),
      { numRuns: 200, seed: 1 },
    );
    await expectServing();
  });

  test('any bytes for a request line and headers get an answer or a closed connection', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        const answer = await send(Buffer.concat([bytes, Buffer.from('\r\n\r\n')]));
        if (answer !== '') expectApiError(answer, 400);
      }),
      { numRuns: 60, seed: 1 },
    );
    await expectServing();
  });
});

describe('slow clients', () => {
  test('a thousand connections that send half a request each keep nobody from being served', async () => {
    const sockets: TLSSocket[] = [];
    for (let batch = 0; batch < 20; batch += 1) {
      sockets.push(...(await Promise.all(Array.from({ length: 50 }, async () => open('127.0.2.1')))));
    }
    for (const [i, socket] of sockets.entries()) {
      const body = i % 2 === 0 ? '' : `\r\n${json}Content-Length: 1000\r\n\r\n{"ott":`;
      socket.write(`POST /ssh/sign HTTP/1.1\r\nHost: ca${body}`);
    }
    const honest = clientFrom('127.0.0.1');
    const answers = await Promise.all(Array.from({ length: 20 }, async () => honest.request('GET', '/ssh/roots')));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(sockets.filter((socket) => !socket.destroyed)).toHaveLength(1000);
    for (const socket of sockets) socket.destroy();
    await expectServing();
  });

  test('connections that stop in the middle of TLS keep nobody from being served', async () => {
    const sockets = Array.from({ length: 200 }, () => connectTcp(running.port, '127.0.0.1'));
    for (const socket of sockets) socket.on('error', () => {}).write(Buffer.from([0x16, 0x03, 0x01, 0x02]));
    await expectServing();
    for (const socket of sockets) socket.destroy();
  });

  test('clients that hang up in the middle of a request leave nothing behind', async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, async () => open('127.0.2.2')));
    for (const socket of sockets) {
      socket.write(`POST /ssh/sign HTTP/1.1\r\nHost: ca\r\n${json}Content-Length: 1000\r\n\r\n{"ott":`, () =>
        socket.destroy(),
      );
    }
    await Promise.all(sockets.map(async (socket) => (socket.closed ? undefined : once(socket, 'close'))));
    await expectServing();
    expect(running.process.stderr()).not.toMatch(/"level":[56]0/);
  });
});
