/** Name resolution over real sockets: c-ares against a scripted DNS server, and getaddrinfo of this machine. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type HostName, parseHostName } from '#ca-lite/dns/host-name.ts';
import { NamedResolver } from '#ca-lite/dns/named-resolver.ts';
import { type DnsLimits, type Resolution, defaultDnsLimits } from '#ca-lite/dns/resolver.ts';
import { SystemResolver } from '#ca-lite/dns/system-resolver.ts';
import { type DnsServer, type Script, addressRecords, startDnsServer, zone } from '#test/simulator/dns/dns-server.ts';

const never = new AbortController().signal;
const name = (text: string): HostName => parseHostName(text) ?? expect.unreachable();

function ask(server: DnsServer, text: string, limits: Partial<DnsLimits> = {}, signal = never): Promise<Resolution> {
  return new NamedResolver([server.address], { ...defaultDnsLimits, ...limits }).resolve(name(text), signal);
}

/** Where queries are counted: on a machine that is too busy to answer soon, each would be sent again. */
const patient: Partial<DnsLimits> = { timeoutMilliseconds: 100_000 };

async function askOnce(script: Script, text: string, limits: Partial<DnsLimits> = {}): Promise<Resolution> {
  await using server = await startDnsServer(script);
  return await ask(server, text, limits);
}

const texts = (answer: Resolution): string[] =>
  answer.resolved ? answer.addresses.map(({ text }) => text) : expect.unreachable(answer.code);

const addresses =
  (...all: string[]): Script =>
  ({ name, type }) => ({ answers: addressRecords(name, all, type) });

describe('named servers', () => {
  test('A and AAAA records, each once', async () => {
    const answer = await askOnce(addresses('10.0.0.1', '10.0.0.2', '10.0.0.1', 'fd00::1'), 'db1.example');
    expect(texts(answer)).toEqual(['10.0.0.1', '10.0.0.2', 'fd00::1']);
    expect(answer).toMatchObject({ name: 'db1.example', chain: ['db1.example'] });
  });

  test('only the name itself is asked for: no search list', async () => {
    await using server = await startDnsServer(zone({ db1: ['10.0.0.1'] }));
    expect(texts(await ask(server, 'db1'))).toEqual(['10.0.0.1']);
    expect(await ask(server, 'db2')).toMatchObject({ code: 'name-not-found' });
    expect(new Set(server.queries.map((query) => query.name))).toEqual(new Set(['db1', 'db2']));
  });

  test('the chain of CNAME records', async () => {
    const script = zone({
      'www.example': { alias: 'Front.Example' },
      'front.example': { alias: 'db1.example' },
      'db1.example': ['10.0.0.1'],
    });
    const answer = await askOnce(script, 'www.example');
    expect(texts(answer)).toEqual(['10.0.0.1']);
    expect(answer).toMatchObject({ chain: ['www.example', 'front.example', 'db1.example'] });
  });

  test.each([
    ['name-not-found', zone({})],
    ['name-not-found', zone({ 'db1.example': { alias: 'gone.example' } })],
    ['no-addresses', addresses()],
    ['dns-failed', () => ({ rcode: 'SERVFAIL' })],
    ['dns-failed', () => ({ rcode: 'REFUSED' })],
    [
      'dns-failed',
      ({ type }) =>
        type === 'AAAA' ? { rcode: 'SERVFAIL' } : { answers: addressRecords('db1.example', ['10.0.0.1'], type) },
    ],
    ['cname-loop', zone({ 'db1.example': { alias: 'db1.example' } })],
    ['cname-loop', zone({ 'db1.example': { alias: 'b.example' }, 'b.example': { alias: 'db1.example' } })],
    ['dns-bad-answer', zone({ 'db1.example': { alias: '_not-a-host.example' } })],
    ['dns-bad-answer', zone({ 'db1.example': { alias: '127.0.0.1' } })],
    ['too-many-addresses', addresses(...Array.from({ length: 17 }, (_, i) => `10.0.0.${i}`))],
    ['too-many-addresses', addresses(...Array.from({ length: 9 }, (_, i) => [`10.0.0.${i}`, `fd00::${i}`]).flat())],
  ] satisfies [string, Script][])('%s', async (code, script) => {
    expect(await askOnce(script, 'db1.example')).toEqual({ resolved: false, name: 'db1.example', code });
  });

  test('a chain is followed to its bound and not beyond', async () => {
    const chain = Array.from({ length: 9 }, (_, i) => [`n${i}.example`, { alias: `n${i + 1}.example` }] as const);
    const script = zone({ ...Object.fromEntries(chain), 'n9.example': ['10.0.0.1'] });
    expect(await askOnce(script, 'n1.example')).toMatchObject({ resolved: true });
    expect(await askOnce(script, 'n0.example')).toMatchObject({ code: 'cname-chain-too-long' });
  });

  test('an endless chain ends at the bound', async () => {
    await using server = await startDnsServer(({ name, count }) => ({
      answers: [{ type: 'CNAME', name, ttl: 0, data: `n${Number(name.replace(/\D/g, '')) + count}.example` }],
    }));
    expect(await ask(server, 'n0.example', patient)).toMatchObject({ code: 'cname-chain-too-long' });
    expect(server.queries).toHaveLength(9);
  });

  test('a truncated answer is fetched over TCP', async () => {
    await using server = await startDnsServer(({ name, type }) => ({
      answers: addressRecords(name, ['10.0.0.1'], type),
      truncated: true,
    }));
    expect(texts(await ask(server, 'db1.example'))).toEqual(['10.0.0.1']);
    expect(server.queries.some(({ transport }) => transport === 'tcp')).toBe(true);
  });

  test('a thousand addresses are refused, also over TCP', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
    await using server = await startDnsServer(({ name, type }) => ({
      answers: addressRecords(name, many, type),
      truncated: true,
    }));
    expect(await ask(server, 'db1.example')).toMatchObject({ code: 'too-many-addresses' });
    expect(server.queries.some(({ transport, type }) => transport === 'tcp' && type === 'A')).toBe(true);
  });

  test('garbage for an answer', async () => {
    const answer = await askOnce(() => Buffer.from('this is not DNS'), 'db1.example', { timeoutMilliseconds: 300 });
    expect(answer).toMatchObject({ resolved: false });
  });

  test('no server there', async () => {
    const server = await startDnsServer(() => undefined);
    await server[Symbol.asyncDispose]();
    expect(await ask(server, 'db1.example')).toMatchObject({ resolved: false, code: 'dns-failed' });
  });

  test('silence, and an AAAA answer that comes too late, are timeouts: half an answer is none', async () => {
    const limits = { timeoutMilliseconds: 200 };
    expect(await askOnce(() => undefined, 'db1.example', limits)).toMatchObject({ code: 'dns-timeout' });
    const late: Script = ({ name, type }) => ({
      answers: addressRecords(name, ['10.0.0.1', 'fd00::1'], type),
      delay: type === 'AAAA' ? 2_000 : 0,
    });
    expect(await askOnce(late, 'db1.example', limits)).toMatchObject({ code: 'dns-timeout' });
  });

  test('an abort, before and during', async () => {
    await using server = await startDnsServer(() => undefined);
    expect(await ask(server, 'db1.example', {}, AbortSignal.abort())).toMatchObject({ code: 'aborted' });
    expect(server.queries).toHaveLength(0);
    const controller = new AbortController();
    const asked = ask(server, 'db1.example', {}, controller.signal);
    controller.abort();
    expect(await asked).toMatchObject({ code: 'aborted' });
  });

  test('one resolution asks each question once, and its result does not follow what DNS says later', async () => {
    await using server = await startDnsServer(({ name, type, count }) => ({
      answers: addressRecords(name, [`10.0.0.${count}`], type),
    }));
    const first = await ask(server, 'db1.example', patient);
    expect(server.queries.map(({ type, count }) => `${type} ${count}`).toSorted()).toEqual([
      'A 1',
      'AAAA 1',
      'CNAME 1',
    ]);
    const second = await ask(server, 'db1.example', patient);
    expect([texts(first), texts(second)]).toEqual([['10.0.0.1'], ['10.0.0.2']]);
  });

  test('a list that is no list of servers is the mistake of the caller', () => {
    expect(() => new NamedResolver([])).toThrow(TypeError);
    expect(() => new NamedResolver(['ns.example'])).toThrow(TypeError);
  });
});

describe('the system resolver', () => {
  test('knows the hosts file', async () => {
    const answer = await new SystemResolver().resolve(name('localhost'), never);
    expect(texts(answer).every((text) => text === '127.0.0.1' || text === '::1')).toBe(true);
  });

  test('says when there is nothing, be it that no name server can be reached', async () => {
    const answer = await new SystemResolver().resolve(name('does-not-exist.invalid'), never);
    expect(answer).toMatchObject({ resolved: false });
  });

  test('one requester leaves a thread to the others', async () => {
    const hanging = Promise.withResolvers<never>();
    const quick = [{ address: '10.0.0.1', family: 4 }];
    const resolver = new SystemResolver({ ...defaultDnsLimits, timeoutMilliseconds: 200 }, async (asked) =>
      asked === 'quick' ? quick : hanging.promise,
    );
    const slow = Array.from({ length: 70 }, (_, i) => resolver.resolve(name(`slow${i}`), never, 'greedy'));
    expect(texts(await resolver.resolve(name('quick'), never, 'other'))).toEqual(['10.0.0.1']);
    const codes = (await Promise.all(slow)).map((answer) => (answer.resolved ? 'resolved' : answer.code));
    expect(codes.filter((code) => code === 'dns-timeout')).toHaveLength(1);
    expect(codes.filter((code) => code === 'dns-busy')).toHaveLength(69);
    hanging.reject(Object.assign(new Error('x'), { code: 'EAI_AGAIN' }));
  });

  test('gives up on a name service that hangs, and keeps the bound on threads meanwhile', async () => {
    let started = 0;
    const hanging = Promise.withResolvers<never>();
    const limits = { ...defaultDnsLimits, timeoutMilliseconds: 30 };
    const resolver = new SystemResolver(limits, () => ((started += 1), hanging.promise));
    const controller = new AbortController();
    const [first, second] = [resolver.resolve(name('a'), never), resolver.resolve(name('b'), controller.signal)];
    controller.abort();
    expect(await second).toMatchObject({ code: 'aborted' });
    expect(await first).toMatchObject({ code: 'dns-timeout' });
    expect(await resolver.resolve(name('c'), never)).toMatchObject({ code: 'dns-busy' });
    expect(started).toBe(2);
    hanging.reject(Object.assign(new Error('x'), { code: 'EAI_AGAIN' }));
    await sleep(0);
    expect(await resolver.resolve(name('d'), never)).toMatchObject({ code: 'dns-failed' });
  });
});
