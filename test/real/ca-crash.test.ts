/**
 * `kill -9` at any moment: round after round the CA is killed while administrators' tokens are redeemed and hosts enrol. Whatever was
 * acknowledged is on record afterwards, nothing was issued twice, and the audit log is whole.
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { caLayout } from '#ca-lite/directory/layout.ts';
import { openConfig, storePath } from '#ca-lite/directory/open-config.ts';
import { readSecret } from '#ca-lite/directory/secrets.ts';
import { openSqliteStore } from '#ca-lite/store/sqlite-store.ts';
import type { Store } from '#ca-lite/store/store.ts';
import { ADMIN_PROVISIONER, makeClaims } from '#ca-lite/token/one-time-token.ts';
import { type TokenKey, loadTokenKey } from '#ca-lite/token/token-key.ts';
import { decodeBase64 } from '#openssh/base64.ts';
import { type Certificate, decodeCertificate } from '#openssh/certificate.ts';
import { parseSoftwareKey } from '#openssh/private-key.ts';
import { addressRecords, startDnsServer } from '#test/simulator/dns/dns-server.ts';
import { newHostKey, servesKeys } from '#test/simulator/hostile-ssh/key-servers.ts';
import { startTcpServer } from '#test/simulator/hostile-ssh/tcp-server.ts';
import { PASSPHRASE, type RunningCa, type TestCa, makeCa } from '#test/support/ca.ts';
import { type Answer, EnrolmentClient, type HostKeyPair, hostKeyPair } from '#test/support/enrolment-client.ts';

const ROUNDS = 16;
const ADMIN_CLIENTS = 3;
const HOST_CLIENTS = 2;
/** Another seed is another sequence of moments; a failure names the one it had. */
const SEED = Number(process.env['COUNTERSIGN_SEED'] ?? 20_261_122);

const stack = new AsyncDisposableStack();
const random = seeded(SEED);
let ca: TestCa;
let administrator: Store;
let tokenKey: TokenKey;
let hostKey: HostKeyPair;
let sshPort: number;

/** Certificates whose reply arrived. */
const acknowledged: Certificate[] = [];
/** Keys that a token was redeemed for, whatever came of it: one token each. */
const keysTried: string[] = [];

beforeAll(async () => {
  const within = await mkdtemp(join(tmpdir(), 'countersign-crash-'));
  stack.defer(async () => rm(within, { recursive: true, force: true }));
  const key = newHostKey('ed25519');
  hostKey = hostKeyPair(parseSoftwareKey(Buffer.from(key.getPrivatePEM())).privateKey);
  const sshd = stack.use(
    await startTcpServer(
      servesKeys(() => [key]),
      { host: '0.0.0.0' },
    ),
  );
  sshPort = sshd.port;
  const dns = stack.use(
    await startDnsServer(({ name, type }) => ({ answers: addressRecords(name, [addressOf(name)], type) })),
  );
  const enrolment = { insecure_allow_loopback: true, ports: [sshPort] };
  ca = await makeCa({ within, quick: true, settings: [{ dns: { servers: [dns.address] }, enrolment }] });
  const layout = caLayout(ca.directory);
  const path = storePath(layout, await openConfig(layout));
  administrator = stack.use(await openSqliteStore({ path, role: 'administrator' }));
  tokenKey = await loadTokenKey(await readSecret(layout, 'token', Buffer.from(PASSPHRASE)));
});
afterAll(async () => stack.disposeAsync());

test(`what was acknowledged survives ${ROUNDS} times kill -9 (seed ${SEED})`, async () => {
  for (let round = 0; round < ROUNDS; round += 1) await workUntilKilled(round);
  expect(acknowledged.length).toBeGreaterThan(ROUNDS);

  await using last = await ca.serve();
  expect((await last.process.stop()).code).toBe(0);
  const records = await ca.json<Listed[]>('certs', '--limit', '1000000');
  expectAcknowledgedOnRecord(records);
  // Nothing is left open, and no token made two certificates.
  expect(new Set(records.map(({ state }) => state)).difference(new Set(['issued', 'abandoned']))).toEqual(new Set());
  for (const key of keysTried) {
    expect(records.filter((one) => one.keyFingerprint === key && one.state === 'issued').length).toBeLessThan(2);
  }
  const hosts = await ca.json<{ state: string }[]>('hosts', '--all', '--limit', '1000000');
  expect(new Set(hosts.map(({ state }) => state))).toEqual(new Set(['enrolled']));
  expect(hosts).toHaveLength(records.filter(({ type, state }) => type === 'host' && state === 'issued').length);
  expect(await ca.run('audit', '--verify')).toContain('The audit log is whole');
}, 900_000);

interface Listed {
  readonly serial: string;
  readonly type: string;
  readonly state: string;
  readonly keyFingerprint: string;
  readonly certificate: string | null;
}

function expectAcknowledgedOnRecord(records: readonly Listed[]): void {
  const bySerial = new Map(records.map((record) => [record.serial, record]));
  for (const certificate of acknowledged) {
    const record = bySerial.get(String(certificate.serial));
    expect(record).toMatchObject({ state: 'issued', type: certificate.type });
    expect(record?.certificate).toContain(Buffer.from(certificate.blob).toString('base64'));
  }
}

/** Serves, lets all clients work at once, and kills the CA after as many replies and as short a while as the seed chooses. */
async function workUntilKilled(round: number): Promise<void> {
  await using running = await ca.serve();
  const killed = new AbortController();
  const clients = [
    ...Array.from({ length: ADMIN_CLIENTS }, () => redeemTokens),
    ...Array.from({ length: HOST_CLIENTS }, (_, i) => enrolHosts(round * HOST_CLIENTS + i)),
  ];
  const wanted = acknowledged.length + Math.floor(random() * 25);
  const working = Promise.all(clients.map(async (work) => work(running, killed.signal)));
  const idle = working.then(() => expect.unreachable('no client works any more'));
  idle.catch(() => {});
  while (acknowledged.length < wanted) await Promise.race([sleep(2), idle]);
  await sleep(random() * 20);
  running.process.signal('SIGKILL');
  killed.abort();
  await working;
  expect((await running.process.ended).signal).toBe('SIGKILL');
}

async function redeemTokens(running: RunningCa, killed: AbortSignal): Promise<void> {
  await using client = new EnrolmentClient({ url: running.url, rootPem: await ca.rootPem() });
  while (!killed.aborted) {
    const { blob, fingerprint } = hostKeyPair(generateKeyPairSync('ed25519').privateKey);
    const token = await newToken();
    keysTried.push(fingerprint);
    const answer = await unlessKilled(killed, client.sign(token, blob));
    if (answer === undefined) return;
    expect(answer.status).toBe(201);
    acknowledged.push(decodeCertificate(decodeBase64(answer.json?.crt ?? '')));
  }
}

/** Each enrolment is that of another host: the same key, at another address under another name. */
function enrolHosts(client: number) {
  return async (running: RunningCa, killed: AbortSignal): Promise<void> => {
    await using connection = new EnrolmentClient({ url: running.url, rootPem: await ca.rootPem() });
    for (let next = 1; !killed.aborted && next < 250; next += 1) {
      const name = `h-${client}-${next}.lab.example`;
      const claim = { names: [name], addresses: [addressOf(name)], fingerprint: hostKey.fingerprint, port: sshPort };
      const result = await unlessKilled(killed, connection.enrol(claim, hostKey));
      if (result === undefined) return;
      if ('refused' in result && isBusy(result.refused)) continue;
      if ('refused' in result) return expect.unreachable(result.refused.text);
      acknowledged.push(result.certificate);
    }
  };
}

/** Undefined when the CA was killed before its reply. */
async function unlessKilled<T>(killed: AbortSignal, reply: Promise<T>): Promise<T | undefined> {
  try {
    return await reply;
  } catch (error) {
    if (!killed.aborted) throw error;
    return undefined;
  }
}

/** This machine had no time for the check. */
function isBusy({ json }: Answer): boolean {
  return json?.code === 'dial-back-too-slow';
}

/** As `countersign-ca token --user alice` makes them, without a process for each. */
async function newToken(): Promise<string> {
  const now = BigInt(Math.floor(Date.now() / 1000));
  const claims = makeClaims(
    { provisioner: ADMIN_PROVISIONER, type: 'user', keyId: 'alice', principals: ['alice'], validBefore: '' },
    { authority: 'ca.lab.example', rootFingerprint: '', now, lifetimeSeconds: 300, tokenId: randomUUID() },
  );
  const subject = { type: 'user', name: 'alice', provisioner: ADMIN_PROVISIONER } as const;
  const decision = await administrator.recordToken({
    token: { id: claims.jti, expiresAt: BigInt(claims.exp) },
    audit: { time: now, action: 'token-make', subject },
  });
  expect(decision.accepted).toBe(true);
  return tokenKey.sign(claims);
}

/** `h-A-B.lab.example` is at 127.78.A.B. */
function addressOf(name: string): string {
  const [, a = '', b = ''] = /^h-(\d+)-(\d+)\./.exec(name) ?? [];
  return `127.78.${a}.${b}`;
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
