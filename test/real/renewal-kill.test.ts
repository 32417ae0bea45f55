/**
 * `kill -9` of the real program while hosts renew and report: after each new start every host goes on from what is on its disk, and at the
 * end holds the head of its lineage, which was never quarantined.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyStoredAudit } from '#ca-lite/audit/verify-store.ts';
import { decodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { CA_NAME, type RunningCa, type TestCa, makeCa } from '../support/ca.ts';
import { Chance } from '../simulator/devices/chance.ts';
import { type HostKey, makeHostKey, sshpopToken, statusRequest } from '../support/sshpop-client.ts';

const HOSTS = 6;
const KILLS = 5;
const seed = Number(process.env['COUNTERSIGN_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

const stack = new AsyncDisposableStack();
let ca: TestCa;
let agent: Agent;
beforeAll(async () => {
  const within = await mkdtemp(join(tmpdir(), 'countersign-renewal-kill-'));
  stack.defer(async () => rm(within, { recursive: true, force: true }));
  ca = await makeCa({ within, quick: true });
  agent = new Agent({ connect: { ca: [await ca.rootPem()] } });
  stack.defer(async () => agent.destroy());
});
afterAll(async () => stack.disposeAsync());

interface Host {
  readonly name: string;
  readonly key: HostKey;
  certificate: Uint8Array;
}

/** Undefined when no answer came. */
async function post(url: string, path: string, body: object): Promise<Record<string, unknown> | undefined> {
  try {
    const answer = await request(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      dispatcher: agent,
    });
    return (await answer.body.json()) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

const now = () => BigInt(Math.floor(Date.now() / 1000));

async function enrol(n: number, url: string): Promise<Host> {
  const name = `kill${n}.lab.example`;
  const key = makeHostKey();
  const answer = await post(url, '/ssh/sign', { ott: await ca.token('--host', name), publicKey: key.blob });
  return { name, key, certificate: decodeBase64(String(answer?.['crt'])) };
}

/** A refusal that asks to come back. */
const isForNow = (code: string): boolean => ['overloaded', 'store-unavailable', 'stopping'].includes(code);

/** Renews and reports, from its disk alone. Codes of refusals are kept. @returns whether both were granted */
async function live(host: Host, url: string, refusals: string[]): Promise<boolean> {
  const { key, certificate } = host;
  const ott = sshpopToken({ key, certificate, operation: 'renew', authority: CA_NAME, now: now() });
  const renewed = await post(url, '/ssh/renew', { ott });
  if (typeof renewed?.['crt'] === 'string') host.certificate = decodeBase64(renewed['crt']);
  const said = { key, certificate: host.certificate, authority: CA_NAME, now: now() };
  const reported = await post(url, '/ssh/status', statusRequest(said));
  for (const answer of [renewed, reported]) if (typeof answer?.['code'] === 'string') refusals.push(answer['code']);
  return [renewed, reported].every((answer) => answer !== undefined && answer['code'] === undefined);
}

test(`no host is stranded and no lineage splits (seed ${seed})`, { timeout: 300_000 }, async () => {
  const chance = new Chance(seed, 0);
  const hosts: Host[] = [];
  const refusals: string[] = [];
  for (let round = 0; round <= KILLS; round++) {
    const running: RunningCa = await ca.serve();
    for (let n = hosts.length; n < HOSTS; n++) hosts.push(await enrol(n, running.url));
    const stop = new AbortController();
    const isLast = round === KILLS; // then a host that was asked to come back does, before the end
    const mayGo = (granted: boolean) => stop.signal.aborted && (!isLast || granted || !refusals.every(isForNow));
    const lives = hosts.map(async (host) => {
      let granted: boolean;
      do granted = await live(host, running.url, refusals);
      while (!mayGo(granted));
    });
    await sleep(300 + chance.below(900));
    if (!isLast) running.process.signal('SIGKILL');
    stop.abort();
    await Promise.all(lives);
    await running[Symbol.asyncDispose]();
  }
  expect(refusals.filter((code) => !isForNow(code))).toEqual([]);
  await using store = await ca.openStore();
  for (const { certificate, name } of hosts) {
    const { serial } = decodeCertificate(certificate);
    const record = await store.certificate(serial);
    expect(await store.lineage(record?.lineage ?? ''), name).toMatchObject({ state: 'active', head: serial });
    const { items } = await store.certificates({ lineage: record?.lineage ?? '', state: 'issued' }, { limit: 1 });
    expect(items[0]?.serial).toBe(serial);
  }
  expect(await verifyStoredAudit(store)).toMatchObject({ ok: true });
});
