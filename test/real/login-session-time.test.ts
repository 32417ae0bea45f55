/**
 * Sessions and time: certificates of some seconds, renewed while nobody looks, also by an agent that was stopped until its certificate had
 * ended, as a machine that sleeps stops it; by the refresh token, and by the key alone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestAgent } from './agent-fixture.ts';
import { runAgent } from './host-agent-fixture.ts';
import {
  type Door,
  type SessionStage,
  openDoor,
  openSessionStage,
  patience,
  serialOf,
  signInAs,
  stateOf,
  suspend,
} from './login-session-fixture.ts';

/** Of 12 s; the next renewal is some seconds away then. */
const FRESH_MS = 6000;

let stage: SessionStage;
let door: Door;

beforeAll(async () => {
  stage = await openSessionStage({ lifetime: '12s' });
  door = await openDoor(stage);
});
afterAll(async () => {
  await door?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

/** Waits until another certificate is there. */
async function waitForSuccessor(socket: string, first: string): Promise<void> {
  await expect.poll(async () => serialOf(socket), patience).not.toBe(first);
  // certificates of seconds may end while ssh is on its way: the next one is there then
  await expect.poll(async () => (await door.ssh(socket)).stdout, patience).toBe('inside');
}

/** One that is not about to be renewed: whoever falls asleep between a question and its answer loses the answer, and the refresh token with it. */
async function freshCertificate(socket: string) {
  for (;;) {
    const certificate = (await stateOf(socket)).signIn.sessions[0]?.certificate;
    if (certificate !== undefined && certificate.expiresAt - Date.now() > FRESH_MS) return certificate;
    await sleep(20);
  }
}

it('renews in time, and after a sleep that was longer than the certificate', { timeout: 300_000 }, async () => {
  await using agent = await startTestAgent();
  await signInAs(stage, 'alice', agent.socket);
  await waitForSuccessor(agent.socket, (await serialOf(agent.socket)) ?? '');

  const before = await freshCertificate(agent.socket);
  {
    using _asleep = suspend(agent.process);
    await sleep(Math.max(0, before.expiresAt - Date.now()) + 1000);
  }
  await waitForSuccessor(agent.socket, before.serial);
  expect(stage.visits()).toBe(1);
});

it('renews by the key alone where the CA lets it and the provider gave no refresh token', async () => {
  await using bare = await openSessionStage({ refreshTokens: false, oidc: 'renew_for = "2h"\nrenew_times = 1' });
  await using agent = await startTestAgent();
  await signInAs(bare, 'alice', agent.socket);
  const [before] = (await stateOf(agent.socket)).signIn.sessions;
  expect(before).toMatchObject({ renewal: { way: 'proof-of-possession' }, refreshToken: 'none' });
  expect((await runAgent(['renew', '--socket', agent.socket])).status).toBe(0);
  const [after] = (await stateOf(agent.socket)).signIn.sessions;
  expect(after?.certificate?.serial).not.toBe(before?.certificate?.serial);
  expect(after?.certificate?.fingerprint).toBe(before?.certificate?.fingerprint);
  // once is all that this CA allows: the next certificate needs the person
  expect((await runAgent(['renew', '--socket', agent.socket])).stdout).toContain('[sign-in-needed]');
  expect((await stateOf(agent.socket)).signIn.needed).toMatchObject([{ failure: { code: 'sign-in-needed' } }]);
});
