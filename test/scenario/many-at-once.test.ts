/** One requester asks for all it can get: what the CA does for it is bounded, and others are served meanwhile. */
import { afterAll, beforeAll, expect } from 'vitest';
import { startDnsServer, addressRecords } from '#test/simulator/dns/dns-server.ts';
import type { Answer } from '#test/support/enrolment-client.ts';
import { startLabServer } from '#test/support/lab-server.ts';
import { holds } from './promises.ts';
import { type HonestHost, type Stage, openStage } from './stage.ts';

const REQUESTS = 200;
/** As in ca.toml. */
const PER_REQUESTER = 8;
const PER_TARGET = 4;

let stage: Stage;
let hosts: HonestHost[];

beforeAll(async () => {
  const limits = { concurrent_per_requester: PER_REQUESTER, concurrent_per_target: PER_TARGET, timeout: '60s' };
  stage = await openStage({ settings: { dial_back: limits } });
  hosts = [await stage.addHost('web1'), await stage.addHost('web2')];
});
afterAll(async () => stage?.[Symbol.asyncDispose]());

function countCodes(answers: readonly Answer[]): Record<string, number> {
  const codes: Record<string, number> = {};
  for (const { status, json } of answers) {
    const code = status === 200 ? 'accepted' : (json?.code ?? 'none');
    codes[code] = (codes[code] ?? 0) + 1;
  }
  return codes;
}

holds('many-at-once', async () => {
  const [host] = hosts;
  if (host === undefined) return expect.unreachable();
  const machine = await stage.lab.addMachine('silent');
  await using server = await startLabServer(stage.lab, machine, { kind: 'silent' });
  await stage.setNames({ 'silent.lab.example': machine.addresses });
  const greedy = await stage.clientOf({ from: stage.lab.otherClients[0] ?? '' });
  const claim = stage.claimOf('silent.lab.example', machine.addresses, host.key);
  const head = await stage.store.auditHead();

  const all = Promise.all(Array.from({ length: REQUESTS }, async () => greedy.challenge(claim)));
  const result = await stage.client.enrol(host.claim, host.key);
  if ('refused' in result) expect.unreachable(result.refused.text);

  const answers = await all;
  const codes = countCodes(answers);
  expect(Object.keys(codes).toSorted()).toEqual(['dial-back-too-slow', 'overloaded']);
  expect(codes['overloaded']).toBeGreaterThan(REQUESTS / 2);
  await expect.poll(() => server.accepted(), { timeout: 60_000 }).toBe(codes['dial-back-too-slow']);
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.every(({ headers }) => /^\d+$/.test(String(headers['retry-after'])))).toBe(true);
  const audited = (await stage.auditSince(head.count)).filter(({ outcome }) => outcome === 'refused');
  expect(audited).toHaveLength(REQUESTS);
  expect(new Set(audited.map(({ subject }) => subject.requester))).toEqual(new Set([stage.lab.otherClients[0]]));
});

holds('slow-names-at-once', async () => {
  const [, host] = hosts;
  if (host === undefined) return expect.unreachable();
  await using dns = await startDnsServer(
    ({ name, type }) => ({
      answers: addressRecords(name, host.machine.addresses, type),
      delay: name.startsWith('slow') ? 800 : 0,
    }),
    { host: stage.lab.clientAddress },
  );
  const ca = await stage.serveCopy('slow-names', { dns: { servers: [dns.address], timeout: '30s' } });
  const greedy = await stage.clientOf({ ca, from: stage.lab.otherClients[0] ?? '' });
  const honest = await stage.clientOf({ ca });
  const names = Array.from({ length: 8 }, (_, i) => `slow${i}.lab.example`);

  const all = Promise.all(Array.from({ length: REQUESTS }, async () => greedy.challenge({ ...host.claim, names })));
  const result = await honest.enrol(host.claim, host.key);
  if ('refused' in result) expect.unreachable(result.refused.text);

  const codes = countCodes(await all);
  expect(codes['overloaded']).toBeGreaterThan(REQUESTS / 2);
  const asked = new Set(dns.queries.map(({ name }) => name));
  const perName = dns.queries.filter(({ name, type }) => name === names[0] && type === 'A').length;
  expect(asked).toContain(names[0]);
  expect(perName).toBeLessThan(REQUESTS / 2);
});

holds('refused-without-end', async () => {
  const [host] = hosts;
  if (host === undefined) return expect.unreachable();
  const from = stage.lab.otherClients[1] ?? '';
  const stubborn = await stage.clientOf({ from });
  const claim = { ...host.claim, names: ['not.allowed.example'] };
  const head = await stage.store.auditHead();
  const answers: Answer[] = [];
  // The budget refills as time passes: on a slow machine it takes some more to use it up.
  while (answers.length < 1000 || (answers.at(-1)?.status !== 429 && answers.length < 20_000)) {
    answers.push(...(await Promise.all(Array.from({ length: 50 }, async () => stubborn.challenge(claim)))));
  }
  const codes = countCodes(answers);
  expect(Object.keys(codes).toSorted()).toEqual(['name-not-allowed', 'overloaded']);
  expect(answers.at(-1)).toMatchObject({
    status: 429,
    headers: { 'retry-after': expect.stringMatching(/^\d+$/) as string },
  });
  const after = await stage.store.auditHead();
  expect(Number(after.count - head.count)).toBe(codes['name-not-allowed']);
  expect((await stage.client.challenge(claim)).json?.code).toBe('name-not-allowed');
});
