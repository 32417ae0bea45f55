import { beforeEach, describe, expect, test } from 'vitest';
import { encodeRemoveRequest } from '#openssh/agent-request.ts';
import { sampleBind, sampleCertificate, sampleKey } from '../../openssh/agent-samples.ts';
import { Client, destination, loginData, makeAgent, moment } from './agent-fixture.ts';

const key = sampleKey();
const [jump, db, other, ca] = [sampleKey(), sampleKey(), sampleKey(), sampleKey()];
const sessions = {
  jump: new Uint8Array(32).fill(1),
  db: new Uint8Array(32).fill(2),
  third: new Uint8Array(32).fill(3),
};
const toJump = destination(undefined, { name: 'jump', key: jump.blob });
const jumpToDb = destination({ name: 'jump', key: jump.blob }, { name: 'db', key: db.blob, user: 'al*' });

let agent = makeAgent();
const connect = (): Client => new Client(agent);
beforeEach(() => {
  agent = makeAgent();
  expect(connect().add(key, { destinations: [toJump, jumpToDb] })).toBe('success');
});

function atJump(isForwarding = false): Client {
  const client = connect();
  expect(client.bind(sampleBind(jump, { sessionId: sessions.jump, isForwarding }))).toBe('success');
  return client;
}
function beyondJump(): Client {
  const client = atJump(true);
  expect(client.bind(sampleBind(db, { sessionId: sessions.db }))).toBe('success');
  return client;
}
const login = (sessionId: Uint8Array, user = 'alice', hostKeyBlob?: Uint8Array): Uint8Array =>
  loginData(key.blob, { sessionId, user, ...(hostKeyBlob === undefined ? {} : { hostKeyBlob }) });

describe('at the first hop', () => {
  test('it is listed and signs the login there', () => {
    expect(atJump().list()).toEqual([key.blob]);
    expect(atJump().sign(key.blob, login(sessions.jump))).toBe('signature');
    expect(atJump().sign(key.blob, login(sessions.jump, 'bob', jump.blob))).toBe('signature');
  });

  test('it does not sign for another session, host key or host, nor anything that is no login', () => {
    expect(atJump().sign(key.blob, login(sessions.db))).toBe('failure');
    expect(atJump().sign(key.blob, login(sessions.jump, 'alice', db.blob))).toBe('failure');
    expect(atJump().sign(key.blob, new Uint8Array(64))).toBe('failure');
    expect(atJump().sign(key.blob, loginData(other.blob, { sessionId: sessions.jump }))).toBe('failure');
    const elsewhere = connect();
    elsewhere.bind(sampleBind(other, { sessionId: sessions.jump }));
    expect(elsewhere.list()).toEqual([]);
    expect(elsewhere.sign(key.blob, login(sessions.jump))).toBe('failure');
    expect(elsewhere.ask(encodeRemoveRequest(key.blob)).type).toBe('failure');
  });

  test('without a bind it is listed, so that local tools see it, and does not sign', () => {
    expect(connect().list()).toEqual([key.blob]);
    expect(connect().sign(key.blob, login(sessions.jump))).toBe('failure');
  });
});

describe('beyond a forwarding hop', () => {
  test('it signs for the listed host, user and host key', () => {
    expect(beyondJump().list()).toEqual([key.blob]);
    expect(beyondJump().sign(key.blob, login(sessions.db, 'alice', db.blob))).toBe('signature');
  });

  test('it wants the host key in the signed bytes, and the right user', () => {
    expect(beyondJump().sign(key.blob, login(sessions.db, 'alice'))).toBe('failure');
    expect(beyondJump().sign(key.blob, login(sessions.db, 'bob', db.blob))).toBe('failure');
  });

  test('at the forwarding hop itself it is seen, as it may go on, and does not sign', () => {
    expect(atJump(true).list()).toEqual([key.blob]);
    expect(atJump(true).sign(key.blob, login(sessions.jump))).toBe('failure');
  });

  test('a key that may only log in at the hop is not seen there', () => {
    agent = makeAgent();
    connect().add(key, { destinations: [toJump] });
    expect(atJump().list()).toEqual([key.blob]);
    expect(atJump(true).list()).toEqual([]);
  });

  test('a third hop that no constraint names is refused', () => {
    const client = atJump(true);
    client.bind(sampleBind(db, { sessionId: sessions.db, isForwarding: true }));
    client.bind(sampleBind(other, { sessionId: sessions.third }));
    expect(client.list()).toEqual([]);
    expect(client.sign(key.blob, login(sessions.third, 'alice', other.blob))).toBe('failure');
  });
});

describe('a bind that fails', () => {
  test('poisons the connection for constrained keys alone (OpenSSH 6d51feab1)', () => {
    const free = sampleKey();
    connect().add(free);
    const client = connect();
    expect(client.bind(sampleBind(jump, { signer: other }))).toBe('extension-failure');
    expect(client.list()).toEqual([free.blob]);
    expect(client.sign(key.blob, login(sessions.jump))).toBe('failure');
    expect(client.sign(free.blob, new Uint8Array(4))).toBe('signature');
  });

  test('refuses: malformed, after a login bind, another host for a session; repeats the same one gladly', () => {
    expect(connect().bind(new Uint8Array(3))).toBe('extension-failure');
    const bound = atJump();
    expect(bound.bind(sampleBind(db, { sessionId: sessions.db }))).toBe('extension-failure');
    const forwarded = atJump(true);
    expect(forwarded.bind(sampleBind(jump, { sessionId: sessions.jump, isForwarding: true }))).toBe('success');
    expect(forwarded.bind(sampleBind(db, { sessionId: sessions.jump }))).toBe('extension-failure');
    expect(forwarded.connection.bindings.hops).toHaveLength(1);
  });

  test('refuses more than 16 hops', () => {
    const client = connect();
    const results = Array.from({ length: 17 }, (_, index) =>
      client.bind(sampleBind(jump, { sessionId: new Uint8Array(8).fill(index + 1), isForwarding: true })),
    );
    expect(results.filter((each) => each === 'success')).toHaveLength(16);
    expect(results.at(-1)).toBe('extension-failure');
  });
});

describe('host certificates', () => {
  const certificate = (more: object = {}) =>
    sampleCertificate(db, ca, { type: 'host', principals: ['db.example'], ...more });
  const viaCa = (name: string) => destination(undefined, { name, key: ca.blob, isCa: true });
  const bound = (shown: Uint8Array, now = moment()): Client => {
    const client = new Client(agent, now);
    client.bind(sampleBind(db, { sessionId: sessions.db, shown }));
    return client;
  };

  test('of the named CA and for the named host do', () => {
    agent = makeAgent();
    connect().add(key, { destinations: [viaCa('DB.example')] });
    const { blob } = certificate();
    expect(bound(blob).list()).toEqual([key.blob]);
    expect(bound(blob).sign(key.blob, login(sessions.db, 'alice', blob))).toBe('signature');
    expect(bound(certificate({ principals: ['db.example'] }).blob).list()).toHaveLength(1);
  });

  test.each([
    ['for another host', () => certificate({ principals: ['www.example'] }).blob],
    ['of another CA', () => sampleCertificate(db, other, { type: 'host', principals: ['db.example'] }).blob],
    ['with a critical option', () => certificate({ criticalOptions: [{ name: 'x', data: new Uint8Array() }] }).blob],
    ['that has ended', () => certificate({ validBefore: certificate().validAfter + 1n }).blob],
    ['missing: the plain key of the host', () => db.blob],
  ])('%s does not', (_, shown) => {
    agent = makeAgent();
    connect().add(key, { destinations: [viaCa('db.example')] });
    expect(bound(shown()).list()).toEqual([]);
  });

  test('do not stand in for the plain host key', () => {
    agent = makeAgent();
    connect().add(key, { destinations: [destination(undefined, { name: 'db.example', key: db.blob })] });
    expect(bound(certificate().blob).list()).toEqual([]);
    expect(bound(db.blob).list()).toEqual([key.blob]);
  });
});
