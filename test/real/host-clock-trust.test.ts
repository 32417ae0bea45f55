/**
 * Whom a host believes that does not know the time: a CA that speaks real TLS and signs for real, and everybody who could pose as it.
 * The certificates of the TLS server have ended by the clock of this machine, so that OpenSSL reports that, whatever else is wrong.
 */
import { expect, test } from 'vitest';
import { type CaClient, type CaClientOptions, openCaClient } from '#agent/ca/ca-client.ts';
import { CaError } from '#agent/ca/ca-error.ts';
import { retryByCaTime } from '#agent/ca/time-retry.ts';
import { Clock } from '#agent/clock/clock.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import type { TimeReply } from '#protocol/signed-time.ts';
import { HealthReply } from '#protocol/step-api.ts';
import { type FakeCa, type FakeCaOptions, startFakeCa } from '#test/support/fake-ca.ts';
import { newCaKey } from '#test/support/statement-signer.ts';

const DAY = 86_400_000;
/** The true time of these tests, which is the CA's. By the clock of this machine, its TLS certificate ended a month ago. */
const TRUE_MS = Math.floor(Date.now() / 1000) * 1000 - 60 * DAY;
const bounds = { earliestMs: TRUE_MS - 5 * DAY, latestMs: TRUE_MS + 3650 * DAY };

const keyFingerprint = (key: FakeCa['hostCa']) => fingerprintOf(encodePublicKey(publicKeyFromObject(key)));

async function startCa(options: FakeCaOptions = {}): Promise<FakeCa> {
  const ca = await startFakeCa({ madeAt: new Date(TRUE_MS - DAY), ...options });
  ca.behaviour.time = () => TRUE_MS / 1000;
  return ca;
}

function clockAt(wallMs: number): Clock {
  return new Clock({ read: () => ({ wallMs, bootMs: 1000 }), bounds });
}

function clientOf(ca: FakeCa, clock: Clock, change: Partial<CaClientOptions> = {}): CaClient {
  const statementCas = new Set([keyFingerprint(ca.hostCa)]);
  return openCaClient({ url: ca.url, root: ca.rootPem, clock, statementCas, ...change });
}

const health = async (client: CaClient) => client.get('/health', HealthReply);

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof CaError) return error.code;
    throw error;
  }
}

test.each([
  ['1970', 0],
  ['2040', Date.UTC(2040, 0, 1)],
  ['sixty days ahead', TRUE_MS + 60 * DAY],
  ['right', TRUE_MS],
])('a host in %s comes to the time of its CA, and speaks with it', async (_, wallMs) => {
  await using ca = await startCa();
  const clock = clockAt(wallMs);
  await using client = clientOf(ca, clock);
  await client.askTime();
  expect(clock.nowMs()).toBe(TRUE_MS);
  expect(clock.judge().kind).toBe(wallMs === TRUE_MS ? 'system' : 'told');
  if (wallMs !== TRUE_MS) expect(await health(client)).toEqual({ status: 'ok' });
});

test('the name of the CA counts as well as its address', async () => {
  await using ca = await startCa();
  const clock = clockAt(0);
  await using client = clientOf(ca, clock, { url: `https://localhost:${ca.port}` });
  await client.askTime();
  expect(await health(client)).toEqual({ status: 'ok' });
});

test('a request that fails because of the time is made again by the time of the CA', async () => {
  await using ca = await startCa();
  const clock = clockAt(TRUE_MS + 60 * DAY);
  await using client = clientOf(ca, clock);
  expect(await codeOf(health(client))).toBe('ca-untrusted');
  expect(await retryByCaTime(client, async () => health(client))).toEqual({ status: 'ok' });
  expect(ca.requests).toEqual(['GET /time', 'GET /health']);
});

/** Each asks, is refused, and leaves the clock as it was. */
async function expectRefused(ca: FakeCa, code: string, change: Partial<CaClientOptions> = {}): Promise<void> {
  const clock = clockAt(0);
  await using client = clientOf(ca, clock, change);
  expect(await codeOf(client.askTime())).toBe(code);
  expect(clock.anchor).toBeUndefined();
  expect(clock.judge()).toMatchObject({ kind: 'doubtful', nowMs: 0 });
}

test('an older answer is not believed', async () => {
  await using ca = await startCa();
  let first: TimeReply | undefined;
  ca.behaviour.alterTime = (reply) => (first ??= reply);
  await using client = clientOf(ca, clockAt(0));
  await client.askTime();
  await expectRefused(ca, 'time-untrusted');
});

test('a busy CA is asked again, with another random number', async () => {
  await using ca = await startCa();
  ca.behaviour.busy = { times: 1, status: 429, retryAfter: '0' };
  const clock = clockAt(0);
  await using client = clientOf(ca, clock);
  await client.askTime();
  expect(clock.nowMs()).toBe(TRUE_MS);
  expect(ca.requests).toEqual(['GET /time', 'GET /time']);
});

test('nobody is believed whom the trusted host CA does not vouch for', async () => {
  await using ca = await startCa();
  await expectRefused(ca, 'time-untrusted', { statementCas: new Set([keyFingerprint(newCaKey())]) });
  await expectRefused(ca, 'time-untrusted', { statementCas: new Set() });
});

test('a time that has passed is not believed: a statement key that was stolen ended then', async () => {
  await using ca = await startCa({ madeAt: new Date(TRUE_MS - 20 * DAY) });
  ca.behaviour.time = () => (TRUE_MS - 10 * DAY) / 1000;
  await expectRefused(ca, 'time-untrusted');
});

test('a TLS certificate is held against the time told, also after it', async () => {
  await using ca = await startCa();
  ca.behaviour.time = () => (TRUE_MS + 40 * DAY) / 1000;
  await expectRefused(ca, 'ca-untrusted');
  ca.behaviour.time = () => (TRUE_MS + 20 * DAY) / 1000;
  const clock = clockAt(0);
  await using client = clientOf(ca, clock);
  await client.askTime();
  expect(clock.judge()).toMatchObject({ kind: 'told', nowMs: TRUE_MS + 20 * DAY });
  clock.believe(TRUE_MS + 40 * DAY);
  await using later = clientOf(ca, clock);
  expect(await codeOf(health(later))).toBe('ca-untrusted');
});

test('what OpenSSL does not report beside the time is found: another root, another name', async () => {
  await using ca = await startCa();
  await using other = await startCa();
  await expectRefused(ca, 'ca-untrusted', { root: other.rootPem });
  await using elsewhere = await startCa({ serverNames: ['elsewhere.example.internal', '192.0.2.1'] });
  await expectRefused(elsewhere, 'ca-untrusted');
  expect([...ca.requests, ...elsewhere.requests]).toEqual([]); // nothing was sent to it

  const clock = clockAt(0);
  clock.believe(TRUE_MS);
  await using client = clientOf(ca, clock, { root: other.rootPem });
  expect(await codeOf(health(client))).toBe('ca-untrusted');
  await using byName = clientOf(elsewhere, clock);
  expect(await codeOf(health(byName))).toBe('ca-untrusted');
  expect([...ca.requests, ...elsewhere.requests]).toEqual([]);
});
