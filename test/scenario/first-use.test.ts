/** Trust on first use: who enrolled first keeps the name, until an administrator decides otherwise. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { publicKeyFromObject } from '#openssh/public-key.ts';
import type { ApiErrorCode } from '#protocol/api-error.ts';
import {
  type Claim,
  type EnrolmentClient,
  type HostKeyPair,
  bodyOf,
  hostKeyPair,
  prove,
} from '#test/support/enrolment-client.ts';
import { startLabSshd } from '#test/support/lab-sshd.ts';
import { holds } from './promises.ts';
import { type HonestHost, type Stage, expectRefused, keyOf, openStage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(async () => stage?.[Symbol.asyncDispose]());

interface Enrolling {
  readonly claim: Claim;
  readonly key: HostKeyPair;
  readonly voucher?: HostKeyPair;
}

async function enrol({ client }: Stage, { claim, key, voucher }: Enrolling): Promise<void> {
  const challenge = bodyOf(await client.challenge(claim));
  const vouched = voucher === undefined ? undefined : prove(challenge, voucher);
  const { token } = bodyOf(await client.token(challenge, prove(challenge, key), vouched));
  expect((await client.sign(token, key.blob)).status).toBe(201);
}

/** The challenge is given, since it says nothing about enrolments; the token is not. */
async function expectNoToken(code: ApiErrorCode, { claim, key, voucher }: Enrolling): Promise<void> {
  const challenge = bodyOf(await stage.client.challenge(claim));
  const vouched = voucher === undefined ? undefined : prove(challenge, voucher);
  await expectRefused(stage, code, async () => stage.client.token(challenge, prove(challenge, key), vouched));
}

async function statesOf(name: string): Promise<string[]> {
  const listed = await stage.ca.ca.json<{ state: string }[]>('hosts', '--all', '--name', name);
  return listed.map(({ state }) => state);
}

holds('first-use', async () => {
  const host = await stage.addHost('web1');
  await enrol(stage, host);
  await expectNoToken('already-enrolled', host);
  await stage.ca.ca.run('hosts', 'clear', host.name);
  await enrol(stage, host);
  await expectNoToken('already-enrolled', host);
  expect(await statesOf(host.name)).toEqual(['enrolled', 'cleared']);
  expect((await stage.ca.ca.attempt('hosts', 'clear', 'nobody.lab.example')).exitCode).toBe(1);
});

holds('name-taken', async () => {
  const old = await stage.addHost('db1');
  await enrol(stage, old);
  await old.sshd[Symbol.asyncDispose]();
  const rebuilt = await setUpAnew(old);
  await expectNoToken('name-held-by-another-key', rebuilt);
  await stage.ca.ca.run('hosts', 'clear', old.name);
  await enrol(stage, rebuilt);
});

test('a token that was given before another host enrolled the name is not honoured', async () => {
  const host = await stage.addHost('race');
  const [first, second] = await Promise.all([tokenFor(host, stage.client), tokenFor(host, stage.client)]);
  expect((await stage.client.sign(first, host.key.blob)).status).toBe(201);
  await expectRefused(stage, 'already-enrolled', async () => stage.client.sign(second, host.key.blob));
});

holds('further-keys', async () => {
  const host = await stage.addHost('git1', { keys: ['ed25519', 'ecdsa', 'rsa'] });
  const [ecdsa, rsa] = [keyOf(host.sshd, 1), keyOf(host.sshd, 2)];
  const stranger = hostKeyPair(generateKeyPairSync('ed25519').privateKey);
  const further = (key: HostKeyPair) => ({ key, claim: { ...host.claim, fingerprint: key.fingerprint } });
  await enrol(stage, host);
  await expectNoToken('name-held-by-another-key', further(ecdsa));
  await expectNoToken('name-held-by-another-key', { ...further(ecdsa), voucher: stranger });
  await expectNoToken('name-held-by-another-key', { ...further(ecdsa), voucher: ecdsa });
  await enrol(stage, { ...further(ecdsa), voucher: host.key });
  await enrol(stage, { ...further(rsa), voucher: ecdsa });
  expect(await statesOf(host.name)).toEqual(['enrolled', 'enrolled', 'enrolled']);

  const challenge = bodyOf(await stage.client.challenge(further(rsa).claim));
  const useless = async () => stage.client.token(challenge, prove(challenge, rsa), prove(challenge, host.key, 'file'));
  await expectRefused(stage, 'voucher-invalid', useless);
});

holds('all-key-types', async () => {
  for (const kind of ['ed25519', 'ecdsa', 'rsa'] as const) {
    const host = await stage.addHost(`only-${kind}`, { keys: ['rsa', 'ecdsa', 'ed25519'] });
    const key = host.sshd.hostKeys[host.sshd.keyNames.indexOf(`ssh_host_${kind}_key`)] ?? expect.unreachable();
    const claim = { ...host.claim, fingerprint: key.fingerprint, keyType: publicKeyFromObject(key.privateKey).type };
    const result = await stage.client.enrol(claim, key);
    if ('refused' in result) expect.unreachable(result.refused.text);
    expect(result.certificate.principals).toEqual([host.name]);
    // sshd counts who connects and does not log in: one connection for each step, told which key to show.
    const connections = () => host.sshd.process.stderr().match(/Connection from .* port/g);
    await expect.poll(connections, { timeout: 60_000 }).toHaveLength(2);
  }
});

async function tokenFor({ claim, key }: HonestHost, client: EnrolmentClient): Promise<string> {
  const challenge = bodyOf(await client.challenge(claim));
  return bodyOf(await client.token(challenge, prove(challenge, key))).token;
}

/** The same machine with a new disk: the same name and address, another key. */
async function setUpAnew({ machine, name }: HonestHost): Promise<Enrolling> {
  const sshd = stage.use(await startLabSshd(stage.lab, machine, { keys: ['ecdsa'] }));
  const key = keyOf(sshd);
  return { key, claim: stage.claimOf(name, machine.addresses, key) };
}
