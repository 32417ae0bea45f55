/** Everything a client may do to the socket that it should not: the agent answers the others, and stays. */
import { assert, asyncProperty, array, uint8Array } from 'fast-check';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeAgentFrame } from '#openssh/agent-frame.ts';
import { MAX_AGENT_MESSAGE_LENGTH, requestNumbers } from '#openssh/agent-number.ts';
import { encodeAddRequest, encodeListRequest, encodeSignRequest } from '#openssh/agent-request.ts';
import { fieldsOfKeyObject } from '#openssh/private-key-fields.ts';
import { decodePublicKey, encodePublicKey } from '#openssh/public-key.ts';
import { decodeSignature, verifySignature } from '#openssh/signature.ts';
import { RawClient, type TestAgent, countIdentities, startTestAgent } from './agent-fixture.ts';

let agent: TestAgent;
const fields = fieldsOfKeyObject(generateKeyPairSync('ed25519').privateKey);
const keyBlob = encodePublicKey(fields.publicKey);
const rsa = fieldsOfKeyObject(generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey);
const rsaBlob = encodePublicKey(rsa.publicKey);

beforeAll(async () => {
  agent = await startTestAgent();
  using client = await RawClient.open(agent.socket);
  for (const each of [fields, rsa])
    expect(await client.ask(encodeAddRequest({ fields: each, comment: new Uint8Array(), constraints: {} }))).toEqual({
      type: 'success',
    });
});
afterAll(async () => {
  expect(agent.process.stderr()).toBe(''); // no fault of ours was reported in all of this
  await agent[Symbol.asyncDispose]();
});

const expectAlive = async (): Promise<void> => expect(await countIdentities(agent.socket)).toBe(2);
const sign = encodeSignRequest({ keyBlob, data: Uint8Array.of(1, 2, 3), flags: 0 });

test('random bytes', { timeout: 120_000 }, async () => {
  await using own = await startTestAgent(); // now and then they are a request: to remove all keys, to lock
  await assert(
    asyncProperty(
      array(uint8Array({ minLength: 1, maxLength: 400 }), { minLength: 1, maxLength: 4 }),
      async (chunks) => {
        using client = await RawClient.open(own.socket);
        for (const chunk of chunks) client.socket.write(chunk);
      },
    ),
    { numRuns: 200 },
  );
  expect(await countIdentities(own.socket)).toBe(0);
  expect(own.process.stderr()).toBe('');
});

test('random bodies under every request number are answered, one reply each', async () => {
  using client = await RawClient.open(agent.socket);
  const harmless = Object.values(requestNumbers).filter(
    (each) => ![requestNumbers.removeAll, requestNumbers.removeAllV1, requestNumbers.lock].includes(each as 9),
  );
  for (const number of harmless) {
    for (const length of [0, 1, 4, 5, 33, 200]) {
      const reply = await client.ask(Uint8Array.of(number, ...randomBytes(length)));
      if (number !== requestNumbers.requestIdentities) expect(reply.type).toMatch(/failure$/);
    }
  }
  await expectAlive();
});

test('every truncation of a good message, then the end', async () => {
  const frame = encodeAgentFrame(sign);
  await Promise.all(
    Array.from({ length: frame.length }, async (_, length) => {
      using client = await RawClient.open(agent.socket);
      client.socket.end(frame.subarray(0, length));
      await client.closed;
    }),
  );
  await expectAlive();
});

test('a message of 256 KiB is answered; one byte more, or none, ends the connection at once', async () => {
  using client = await RawClient.open(agent.socket);
  expect(await client.ask(new Uint8Array(MAX_AGENT_MESSAGE_LENGTH).fill(requestNumbers.sign))).toEqual({
    type: 'failure',
  });
  for (const header of [Uint8Array.of(0, 4, 0, 1), Uint8Array.of(255, 255, 255, 255), new Uint8Array(4)]) {
    using hostile = await RawClient.open(agent.socket);
    hostile.socket.write(header);
    await hostile.closed;
  }
  await expectAlive();
});

test('byte by byte', async () => {
  using client = await RawClient.open(agent.socket);
  const reply = client.ask(Uint8Array.of(requestNumbers.requestIdentities));
  const slow = await RawClient.open(agent.socket);
  const answer = once(slow.socket, 'data');
  for (const byte of encodeAgentFrame(sign)) {
    slow.socket.write(Uint8Array.of(byte));
    await sleep(1);
  }
  await answer;
  slow[Symbol.dispose]();
  expect(await reply).toMatchObject({ type: 'identities' });
});

test('many requests in one piece are answered in order, slow and fast ones mixed', async () => {
  using client = await RawClient.open(agent.socket);
  const data = Array.from({ length: 40 }, (_, index) => Uint8Array.of(index));
  const replies = await Promise.all(
    data.map((each, index) =>
      client.ask(encodeSignRequest({ keyBlob: index % 3 === 0 ? rsaBlob : keyBlob, data: each, flags: 4 })),
    ),
  );
  for (const [index, reply] of replies.entries()) {
    if (reply.type !== 'signature') throw new TypeError(`reply ${index} is no signature`);
    const key = decodePublicKey(index % 3 === 0 ? rsaBlob : keyBlob);
    expect(verifySignature(key, data[index] ?? new Uint8Array(), decodeSignature(key.type, reply.signature))).toBe(
      true,
    );
  }
});

test('a client that does not read its replies holds up nobody, and gets them all in the end', async () => {
  const count = 20_000;
  using deaf = await RawClient.open(agent.socket);
  deaf.socket.pause();
  const all = Promise.all(Array.from({ length: count }, () => deaf.ask(encodeListRequest())));
  await sleep(300);
  await expectAlive();
  deaf.socket.resume();
  expect(await all).toHaveLength(count);
});

test('a thousand connections at once, all answered', { timeout: 120_000 }, async () => {
  const clients: RawClient[] = [];
  // In waves: beyond the backlog of a Unix socket the kernel turns clients away that do not wait (EAGAIN). One is answered when it has been accepted.
  while (clients.length < 1000) {
    const wave = await Promise.all(Array.from({ length: 100 }, () => RawClient.open(agent.socket)));
    await Promise.all(wave.map((client) => client.ask(encodeListRequest())));
    clients.push(...wave);
  }
  const replies = await Promise.all(clients.map((client) => client.ask(sign)));
  expect(new Set(replies.map((reply) => reply.type))).toEqual(new Set(['signature']));
  for (const client of clients) client[Symbol.dispose]();
  await expectAlive();
});

test('unfinished messages are limited in total: some are dropped, the agent stays', { timeout: 120_000 }, async () => {
  const unfinished = encodeAgentFrame(new Uint8Array(MAX_AGENT_MESSAGE_LENGTH)).subarray(0, 250_000);
  const clients = await Promise.all(Array.from({ length: 160 }, () => RawClient.open(agent.socket)));
  for (const client of clients) {
    client.socket.write(unfinished);
  }
  await Promise.race(clients.map((client) => client.closed));
  await expectAlive();
  for (const client of clients) client[Symbol.dispose]();
});

test('a client that goes away while its signature is made', async () => {
  for (let round = 0; round < 30; round++) {
    using client = await RawClient.open(agent.socket);
    client.ask(encodeSignRequest({ keyBlob: rsaBlob, data: Uint8Array.of(round), flags: 2 })).catch(() => undefined);
    if (round % 2 === 0) client.socket.end();
  }
  await expectAlive();
});

test('half-open: a client that has said its last still gets its answer', async () => {
  using client = await RawClient.open(agent.socket);
  const reply = client.ask(sign);
  client.socket.end();
  expect(await reply).toMatchObject({ type: 'signature' });
});
