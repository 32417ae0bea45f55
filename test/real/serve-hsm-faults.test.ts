/**
 * A CA that serves with (simulated) YubiHSMs while something breaks: nobody gets a wrong signature, nobody is left without an answer, no
 * session is leaked, and every signature that a device made belongs to a certificate that the CA knows.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyCertificateSignature } from '#openssh/certificate.ts';
import { capabilityBits } from '#ca-lite/yubihsm/capabilities.ts';
import { putAuthenticationKey } from '#ca-lite/yubihsm/commands/authentication-key.ts';
import { deleteObject } from '#ca-lite/yubihsm/commands/objects.ts';
import { setForceAudit } from '#ca-lite/yubihsm/commands/options.ts';
import { keysFromPassword } from '#ca-lite/yubihsm/scp03.ts';
import { objectIds, roleHeader } from '#ca-lite/yubihsm/setup/plan.ts';
import { secretFile } from '#ca-lite/yubihsm/setup/secret-files.ts';
import type { RunningCa } from '#test/support/ca.ts';
import { makeTokens } from '#test/support/many-tokens.ts';
import { type Asked, type HsmSite, openHsmSite, Requester, ways } from './serve-hsm-fixture.ts';
import type { Bench } from './yubihsm-fixture.ts';

const patienceMs = 120_000;
/** Command of the device. */
const SIGN_EDDSA = 0x6a;

let hsm: HsmSite;
let ca: RunningCa;
let requester: Requester;
let first: Bench;
let second: Bench;

beforeAll(async () => {
  hsm = await openHsmSite({ words: ways.plain, devices: 2 });
  [first, second] = hsm.devices as [Bench, Bench];
  ca = await hsm.made.serve();
  requester = await Requester.open(ca);
}, 300_000);
afterAll(async () => {
  await requester?.[Symbol.asyncDispose]();
  await ca?.[Symbol.asyncDispose]();
  await hsm?.[Symbol.asyncDispose]();
});

/** Asks for so many certificates at once, users and hosts. */
async function askForMany(count: number): Promise<Asked[]> {
  const hosts = Array.from({ length: count }, (_, index) => `web${index}.example.com`);
  const tokens = [
    ...(await makeTokens(hsm.made, 'host', hosts)),
    ...(await makeTokens(
      hsm.made,
      'user',
      Array.from({ length: count }, () => 'alice'),
    )),
  ];
  return Promise.all(tokens.map(async (token) => requester.ask(token)));
}

/** A certificate that verifies, or a clear word and a time to come back. */
function expectClear(answer: Asked): void {
  if (answer.certificate !== undefined) {
    expect(answer.status).toBe(201);
    expect(verifyCertificateSignature(answer.certificate)).toBe(true);
    return;
  }
  expect([429, 503]).toContain(answer.status);
  expect(Number(answer.retryAfter)).toBeGreaterThan(0);
}

async function expectIssuing(): Promise<void> {
  await expect
    .poll(async () => (await askForMany(1)).map(({ status }) => status), { timeout: patienceMs, interval: 500 })
    .toEqual([201, 201]);
}

const openSessions = ({ simulator }: Bench): number => simulator.device.statistics.openSessions;

describe('with two devices', { timeout: 300_000 }, () => {
  it('a power cut in the middle of signatures costs nothing', async () => {
    first.simulator.faults.plan({ fault: { kind: 'power-cut', when: 'during' }, minBytes: 300, after: 3 });
    const answers = await askForMany(15);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    answers.forEach(expectClear);
  });

  it('the death of one costs nothing, and it is taken back when it returns', async () => {
    first.simulator.faults.deviceGone = true;
    const answers = await askForMany(15);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    first.simulator.faults.clear();
    second.simulator.faults.deviceGone = true;
    try {
      await expectIssuing();
    } finally {
      second.simulator.faults.clear();
    }
  });

  it('a log that others filled is freed, and the signature made', async () => {
    for (const device of hsm.devices) {
      await using session = await hsm.session('administrator', device);
      await expect(
        (async () => {
          for (let count = 0; count < 1000; count++) await session.execute(setForceAudit('on'));
        })(),
      ).rejects.toMatchObject({ code: 'device-log-full' });
    }
    const answers = await askForMany(3);
    answers.forEach(expectClear);
    expect(answers.filter(({ status }) => status === 201)).not.toEqual([]);
    await expectIssuing();
  });

  it('connectors that are killed under load lose nobody; who is told to come back gets a certificate then', async () => {
    const signatures = (): number => first.simulator.device.statistics.executed.get(SIGN_EDDSA) ?? 0;
    const before = signatures();
    const load = askForMany(40);
    await expect.poll(signatures, { timeout: patienceMs, interval: 5 }).toBeGreaterThan(before);
    await Promise.all(hsm.devices.map(async ({ simulator }) => simulator.stopConnector()));
    const during = askForMany(1);
    await Promise.all(hsm.devices.map(async ({ simulator }) => simulator.startConnector()));
    const answers = [...(await load), ...(await during)];
    answers.forEach(expectClear);
    await expectIssuing();
  });

  it('no session was leaked, and each signature of the devices is that of a certificate', async () => {
    // the signer's and the auditor's, and for half a minute those two that the killed connectors cut off
    for (const device of hsm.devices) expect(openSessions(device)).toBeLessThanOrEqual(4);
    const { process: serving } = ca;
    serving.signal('SIGTERM');
    await serving.ended;
    const { exitCode, stdout } = await hsm.made.attempt('audit', '--verify');
    expect(stdout).toMatch(/^The audit log is whole(?:(?!entry \d).)*$/s);
    expect(exitCode).toBe(0);
    await expect.poll(() => hsm.devices.map(openSessions), { timeout: patienceMs }).toEqual([0, 0]);
  });
});

describe('a device that is not set up to sign', () => {
  it('is named with the capability that is missing, and the client is told to come back', async () => {
    const plan = { way: 'plain', kind: 'ed25519' } as const;
    const password = 'signer of the tests';
    for (const device of hsm.devices) {
      await using session = await hsm.session('administrator', device);
      await session.execute(deleteObject(objectIds.signer, 'authentication-key'));
      const header = { ...roleHeader('signer', plan), capabilities: capabilityBits('sign-pkcs') };
      await session.execute(putAuthenticationKey(header, await keysFromPassword(password)));
    }
    writeFileSync(secretFile(hsm.made.directory, 'signer'), `${password}\n`);
    await using serving = await hsm.made.serve();
    await using asking = await Requester.open(serving);
    const [token = ''] = await makeTokens(hsm.made, 'user', ['alice']);
    const comeBack = { status: 503, code: 'signer-unavailable', retryAfter: '30' };
    expect(await asking.ask(token)).toMatchObject(comeBack);
    expect(await asking.ask(token), 'the token is good still').toMatchObject(comeBack);
    await serving.process.until((one) => one.stderr().includes('it needs sign-eddsa'));
  });

  it('or has another password, is named when the CA starts', async () => {
    writeFileSync(secretFile(hsm.made.directory, 'signer'), 'not the password\n');
    await using process = hsm.made.startServing();
    expect(await process.ended).toMatchObject({ code: 1 });
    expect(process.stderr()).toMatch(/wrong password/);
  });
});
