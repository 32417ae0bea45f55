import { assert, constantFrom, property, tuple, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { extensionNames, requestNumbers } from '#openssh/agent-number.ts';
import { decodeAgentReply } from '#openssh/agent-reply.ts';
import {
  encodeAddRequest,
  encodeExtensionRequest,
  encodeListRequest,
  encodeLockRequest,
  encodeRemoveAllRequest,
  encodeRemoveRequest,
  encodeSignRequest,
} from '#openssh/agent-request.ts';
import { decodeSignature, verifySignature } from '#openssh/signature.ts';
import { encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import { signLater } from '#agent/user/sign-with-identity.ts';
import { SAMPLE_NOW, fieldsOf, sampleBind, sampleCertificate, sampleKey } from '../../openssh/agent-samples.ts';
import { Client, loginData, makeAgent, moment, text } from './agent-fixture.ts';

const key = sampleKey();
const ca = sampleKey();
const data = text('to be signed');

describe('signing', () => {
  test.each(['ssh-ed25519', 'ecdsa-sha2-nistp256'] as const)('%s signs at once', (type) => {
    const client = new Client(makeAgent());
    const own = sampleKey(type);
    client.add(own);
    const reply = client.ask(encodeSignRequest({ keyBlob: own.blob, data, flags: 0 }));
    if (reply.type !== 'signature') throw new TypeError('no signature');
    expect(verifySignature(own.publicKey, data, decodeSignature(type, reply.signature))).toBe(true);
  });

  test.each([
    ['ecdsa-sha2-nistp384', 0, 'ecdsa-sha2-nistp384'],
    ['ecdsa-sha2-nistp521', 0, 'ecdsa-sha2-nistp521'],
    ['ssh-rsa', 2, 'rsa-sha2-256'],
    ['ssh-rsa', 4, 'rsa-sha2-512'],
    ['ssh-rsa', 6, 'rsa-sha2-512'],
  ] as const)('%s with flags %d signs in the pool, as %s', async (type, flags, algorithm) => {
    const client = new Client(makeAgent());
    const own = sampleKey(type);
    client.add(own);
    const effect = client.effect('sign', encodeSignRequest({ keyBlob: own.blob, data, flags }));
    expect(effect.algorithm).toBe(algorithm);
    const signature = decodeSignature(type, await signLater(own.privateKey, effect.algorithm, effect.data));
    expect(signature.algorithm).toBe(algorithm);
    expect(verifySignature(own.publicKey, data, signature)).toBe(true);
  });

  test('refuses SHA-1 for RSA, and any flag that it does not know', () => {
    const client = new Client(makeAgent());
    const rsa = sampleKey('ssh-rsa');
    client.add(rsa);
    client.add(key);
    expect(client.sign(rsa.blob, data, 0)).toBe('failure');
    for (const flags of [1, 8, 0x8000_0000, 3, 5]) {
      expect(client.sign(rsa.blob, data, flags)).toBe('failure');
      expect(client.sign(key.blob, data, flags)).toBe('failure');
    }
    expect(client.sign(key.blob, data, 4)).toBe('signature'); // a flag of RSA does other keys no harm
  });

  test('a certificate signs with its key; a key that is not held does not', () => {
    const client = new Client(makeAgent());
    const certificate = sampleCertificate(key, ca);
    client.add(key, {}, certificate);
    expect(client.sign(certificate.blob, data)).toBe('signature');
    expect(client.sign(key.blob, data)).toBe('failure');
  });

  test('a security key made for the web signs nothing but SSH', () => {
    const client = new Client(makeAgent());
    const web = {
      publicKey: { type: 'sk-ssh-ed25519@openssh.com', key: new Uint8Array(32).fill(3), application: 'https://bank' },
      flags: 1,
      keyHandle: text('h'),
      reserved: new Uint8Array(),
    } as const;
    expect(client.ask(encodeAddRequest({ fields: web, comment: text(''), constraints: {} })).type).toBe('success');
    const [blob = new Uint8Array()] = client.list();
    expect(client.sign(blob, text('a web challenge'))).toBe('failure');
    const sshsig = encodeSshsigToBeSigned(data, 'git');
    expect(client.effect('sign', encodeSignRequest({ keyBlob: blob, data: sshsig, flags: 0 })).data).toEqual(sshsig);
  });
});

describe('identities', () => {
  test('are listed in the order of adding, replaced in place, and removed', () => {
    const client = new Client(makeAgent());
    const certificate = sampleCertificate(key, ca);
    for (const add of [
      () => client.add(key),
      () => client.add(key, {}, certificate),
      () => client.add(ca),
      () => client.add(key),
    ])
      expect(add()).toBe('success');
    expect(client.list()).toEqual([key.blob, certificate.blob, ca.blob]);
    expect(client.ask(encodeRemoveRequest(key.blob)).type).toBe('success');
    expect(client.ask(encodeRemoveRequest(key.blob)).type).toBe('failure');
    expect(client.list()).toEqual([certificate.blob, ca.blob]);
    expect(client.ask(encodeRemoveAllRequest()).type).toBe('success');
    expect(client.ask(encodeRemoveAllRequest()).type).toBe('success');
    expect(client.list()).toEqual([]);
  });

  test('end with their lifetime, to the second, whatever the wall clock says', () => {
    const client = new Client(makeAgent());
    client.add(key, { lifetimeSeconds: 10 });
    client.now = { ...moment(9.999), epochMs: 0 };
    expect(client.list()).toEqual([key.blob]);
    client.now = { ...moment(10), epochMs: 0 };
    expect(client.list()).toEqual([]);
    expect(client.sign(key.blob, data)).toBe('failure');
  });

  test('get the default lifetime, which a shorter or longer one of their own replaces', () => {
    const agent = makeAgent({ policy: { defaultLifetimeSeconds: 5, allowedProviders: '' } });
    const client = new Client(agent);
    client.add(key);
    client.add(ca, { lifetimeSeconds: 50 });
    client.now = moment(5);
    expect(client.list()).toEqual([ca.blob]);
  });

  test('disappear when their certificate ends, at its exact second', () => {
    const client = new Client(makeAgent());
    const certificate = sampleCertificate(key, ca, { validBefore: SAMPLE_NOW + 60n });
    client.add(key, {}, certificate);
    client.now = moment(59.999);
    expect(client.list()).toEqual([certificate.blob]);
    client.now = moment(60);
    expect(client.list()).toEqual([]);
    expect(client.sign(certificate.blob, data)).toBe('failure');
  });

  test('whose certificate had ended when added stay, and are not offered for a login', () => {
    const client = new Client(makeAgent());
    const host = sampleKey();
    const certificate = sampleCertificate(key, ca, { validAfter: 1n, validBefore: 2n });
    client.add(key, {}, certificate);
    expect(client.list()).toEqual([certificate.blob]);
    expect(client.sign(certificate.blob, data)).toBe('signature');
    client.bind(sampleBind(host));
    expect(client.list()).toEqual([]);
  });

  test('the message that brought a private key is wiped', () => {
    const message = encodeAddRequest({ fields: fieldsOf(key), comment: text('c'), constraints: {} });
    new Client(makeAgent()).send(message);
    expect(message.every((byte) => byte === 0)).toBe(true);
  });

  test('a host that took one gets it first next time', () => {
    const client = new Client(makeAgent());
    const host = sampleKey();
    const sessionId = new Uint8Array(32).fill(5);
    const keys = [sampleKey(), sampleKey(), sampleKey()];
    for (const each of keys) client.add(each);
    const last = keys[2]?.blob ?? new Uint8Array();
    client.bind(sampleBind(host, { sessionId }));
    expect(client.list().at(2)).toEqual(last);
    expect(client.sign(last, loginData(last, { sessionId }))).toBe('signature');
    expect(client.list().at(0)).toEqual(last);
    expect(client.list()).toHaveLength(3);
  });
});

describe('security key middleware', () => {
  const fields = {
    publicKey: { type: 'sk-ssh-ed25519@openssh.com', key: new Uint8Array(32).fill(3), application: 'ssh:' },
    flags: 1,
    keyHandle: text('h'),
    reserved: new Uint8Array(),
  } as const;
  const add = (client: Client, skProvider: string): string =>
    client.ask(encodeAddRequest({ fields, comment: text(''), constraints: { skProvider } })).type;

  test('is internal, or a library of the list; never from a forwarded connection', () => {
    expect(add(new Client(makeAgent()), 'internal')).toBe('success');
    expect(add(new Client(makeAgent()), '/usr/lib/sk.so')).toBe('success');
    expect(add(new Client(makeAgent()), '/tmp/evil.so')).toBe('failure');
    expect(add(new Client(makeAgent({ canonicalPath: () => undefined })), '/usr/lib/gone.so')).toBe('failure');
    expect(add(new Client(makeAgent({ canonicalPath: () => '/tmp/evil.so' })), '/usr/lib/link.so')).toBe('failure');
    const remote = new Client(makeAgent());
    remote.bind(sampleBind(ca, { isForwarding: true }));
    expect(add(remote, '/usr/lib/sk.so')).toBe('failure');
    expect(add(remote, 'internal')).toBe('success');
  });

  test('goes with no other kind of key', () => {
    expect(new Client(makeAgent()).add(key, { skProvider: 'internal' })).toBe('failure');
  });
});

describe('locking', () => {
  const lock = (word: string) => encodeLockRequest('lock', text(word));
  const unlock = (word: string) => encodeLockRequest('unlock', text(word));

  test('hides and refuses everything but unlocking and binding', () => {
    const client = new Client(makeAgent());
    client.add(key);
    expect(client.ask(lock('')).type).toBe('failure');
    expect(client.ask(lock('pw')).type).toBe('success');
    expect(client.list()).toEqual([]);
    expect(client.sign(key.blob, data)).toBe('failure');
    expect(client.add(ca)).toBe('failure');
    expect(client.ask(encodeRemoveAllRequest()).type).toBe('failure');
    expect(client.ask(lock('pw')).type).toBe('failure');
    expect(client.ask(encodeExtensionRequest(extensionNames.query, new Uint8Array())).type).toBe('failure');
    expect(client.bind(sampleBind(ca))).toBe('success'); // OpenSSH 6a57081dc
    expect(client.ask(unlock('pw')).type).toBe('success');
    expect(client.list()).toEqual([key.blob]);
    expect(client.ask(unlock('pw')).type).toBe('failure');
  });

  test('makes each wrong attempt wait longer, over all connections', () => {
    const agent = makeAgent();
    const [one, two] = [new Client(agent), new Client(agent)];
    one.ask(lock('pw'));
    expect(one.ask(unlock('no')).type).toBe('failure');
    const wait = two.effect('wait', unlock('pw'));
    expect(wait.untilMonotonicMs - two.now.monotonicMs).toBe(100);
    const retried = wait.again(moment(0.1));
    expect(retried instanceof Uint8Array && decodeAgentReply(retried).type).toBe('success');
  });

  test('waits ten seconds at most', () => {
    const agent = makeAgent();
    const client = new Client(agent);
    client.ask(lock('pw'));
    for (let attempt = 0; attempt < 105; attempt++) {
      client.now = moment(attempt * 20);
      expect(client.ask(unlock('no')).type).toBe('failure');
    }
    expect(client.effect('wait', unlock('pw')).untilMonotonicMs - client.now.monotonicMs).toBe(10_000);
  });
});

describe('asking', () => {
  test('puts what is known, and signs only after a yes, if the key is still the same', () => {
    const agent = makeAgent();
    const client = new Client(agent);
    const host = sampleKey();
    const sessionId = new Uint8Array(32).fill(5);
    client.add(key, { confirm: true });
    client.bind(sampleBind(host, { sessionId: new Uint8Array(32).fill(4), isForwarding: true }));
    client.bind(
      sampleBind(host, { sessionId, shown: sampleCertificate(host, ca, { type: 'host', principals: ['db'] }).blob }),
    );
    const request = encodeSignRequest({
      keyBlob: key.blob,
      data: loginData(key.blob, { sessionId, user: 'al\u001b[1mice' }),
      flags: 0,
    });
    const question = client.effect('ask', request);
    expect(question.subject).toMatchObject({
      key: { kind: 'ED25519', comment: 'sample' },
      purpose: 'login',
      user: 'al[1mice',
      forwarded: true,
      host: { names: ['db'] },
    });
    const signed = question.allowed(moment(1));
    expect(signed instanceof Uint8Array && decodeAgentReply(signed).type).toBe('signature');
    client.ask(encodeRemoveAllRequest());
    const tooLate = question.allowed(moment(2));
    expect(tooLate instanceof Uint8Array && decodeAgentReply(tooLate).type).toBe('failure');
  });

  test('names no host when the signed session is not the bound one', () => {
    const client = new Client(makeAgent());
    client.add(key, { confirm: true });
    client.bind(sampleBind(ca, { sessionId: new Uint8Array(32).fill(4) }));
    const forged = loginData(key.blob, { sessionId: new Uint8Array(32).fill(9) });
    const { subject } = client.effect('ask', encodeSignRequest({ keyBlob: key.blob, data: forged, flags: 0 }));
    expect(subject.host).toBeUndefined();
    expect(subject.forwarded).toBe(false);
  });
});

describe('other agents', () => {
  test('are listed after ours, without doubles, and sign what we do not hold', () => {
    const client = new Client(makeAgent({ hasUpstreams: true }));
    client.add(key);
    const list = client.effect('list-upstreams', encodeListRequest());
    const theirs = [key, ca].map(({ blob }) => ({ blob, comment: text('up') }));
    const reply = decodeAgentReply(list.reply([...theirs, { blob: text('a new kind of key'), comment: text('') }]));
    expect(reply).toMatchObject({
      identities: [{ comment: text('sample') }, { comment: text('up') }, { blob: text('a new kind of key') }],
    });
    const request = encodeSignRequest({ keyBlob: ca.blob, data, flags: 0 });
    expect(client.effect('sign-upstream', request).message).toEqual(request);
    expect(client.sign(key.blob, data)).toBe('signature');
  });

  test('are hidden and out of use while locked', () => {
    const client = new Client(makeAgent({ hasUpstreams: true }));
    client.ask(encodeLockRequest('lock', text('pw')));
    expect(client.list()).toEqual([]);
    expect(client.sign(ca.blob, data)).toBe('failure');
  });
});

test('an identity source is asked when it is wanted, and the list goes on after it', () => {
  const source = { isWanted: () => true, provide: () => Promise.resolve() };
  const client = new Client(makeAgent({ source }));
  const effect = client.effect('provide', encodeListRequest());
  client.connection.bindings.bind(new Uint8Array());
  const listed = effect.again(moment());
  expect(listed instanceof Uint8Array && decodeAgentReply(listed)).toEqual({ type: 'identities', identities: [] });
});

test('query names the extensions; an unknown one fails plainly', () => {
  const client = new Client(makeAgent());
  expect(client.ask(encodeExtensionRequest('query', new Uint8Array()))).toMatchObject({
    type: 'extension',
    name: 'query',
  });
  expect(client.ask(encodeExtensionRequest('x@example.org', new Uint8Array())).type).toBe('failure');
  expect(client.ask(encodeExtensionRequest('query', Uint8Array.of(1))).type).toBe('failure');
});

test('whatever comes is answered', () => {
  const agent = makeAgent();
  const client = new Client(agent);
  client.add(key);
  const number = constantFrom(
    0,
    1,
    255,
    ...Object.values(requestNumbers).filter((each) => each !== requestNumbers.lock),
  );
  assert(
    property(tuple(number, uint8Array({ maxLength: 120 })), ([first, rest]) => {
      const outcome = client.send(Uint8Array.of(first, ...rest));
      expect(outcome instanceof Uint8Array || typeof outcome.effect === 'string').toBe(true);
    }),
    { numRuns: 500 },
  );
});
