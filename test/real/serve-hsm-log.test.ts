/**
 * The log that a YubiHSM keeps of itself, held against the certificates of a CA that serves: each signature belongs to one, also after a crash,
 * and one that was made behind the CA's back is found.
 */
import { describe, expect, it, onTestFinished } from 'vitest';
import { signEddsa } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import { objectIds } from '#ca-lite/yubihsm/setup/plan.ts';
import { encodeToBeSigned } from '#openssh/certificate.ts';
import { exampleFields } from '#test/contract/signer.ts';
import { type HsmSite, type HsmSiteOptions, openHsmSite, Requester, ways } from './serve-hsm-fixture.ts';

interface DeviceSignature {
  readonly device: string;
  readonly entry: number;
  readonly by: 'session' | 'record';
}

async function site(options: HsmSiteOptions = {}): Promise<HsmSite> {
  const opened = await openHsmSite({ words: ways.plain, ...options });
  onTestFinished(async () => opened[Symbol.asyncDispose]());
  return opened;
}

/** Serves while certificates are asked for; the log is read to its end when the CA closes. */
async function serving<T>({ made }: HsmSite, work: (requester: Requester) => Promise<T>): Promise<T> {
  await using ca = await made.serve();
  await using requester = await Requester.open(ca);
  return await work(requester);
}

async function issue(requester: Requester, ...token: string[]): Promise<bigint> {
  const { certificate } = await requester.certify(...token);
  if (certificate === undefined) throw new Error('no certificate');
  return certificate.serial;
}

async function signaturesOf({ made }: HsmSite, serial: bigint): Promise<DeviceSignature[]> {
  const shown = await made.json<{ deviceSignatures: DeviceSignature[] }>('show', String(serial));
  return shown.deviceSignatures;
}

const verify = async ({ made }: HsmSite) => made.attempt('audit', '--verify');

describe("the device's log", { timeout: 300_000 }, () => {
  it('says of each certificate which entry it is, under a template also of its timestamp', async () => {
    const hsm = await site({ words: ['--timestamp-key', 'device'] });
    const serials = await serving(hsm, async (requester) => [
      await issue(requester, '--user', 'alice'),
      await issue(requester, '--host', 'web1.example.com'),
      await issue(requester, '--user', 'alice'),
    ]);
    const found = await Promise.all(serials.map(async (serial) => signaturesOf(hsm, serial)));
    expect(found.map((each) => each.length)).toEqual([2, 2, 2]);
    const entries = found.flat();
    expect(new Set(entries.map(({ entry }) => entry)).size).toBe(6);
    for (const { by, device } of entries) expect([by, device]).toEqual(['session', 'yubihsm 12345678']);
    expect(await hsm.made.run('show', String(serials[0]))).toMatch(
      /Signed by:\s+yubihsm 12345678, entry \d+ of its log/,
    );
    const verified = await verify(hsm);
    expect(verified).toMatchObject({ exitCode: 0 });
    expect(verified.stdout).toMatch(/belong to certificates: \d+/);
  });

  it("is explained by the record of certificates after a crash, and shows what was signed behind the CA's back", async () => {
    const hsm = await site();
    const serials = await serving(hsm, async (requester) => [await issue(requester, '--user', 'alice')]);
    {
      await using crashed = await hsm.made.serve();
      await using requester = await Requester.open(crashed);
      serials.push(await issue(requester, '--host', 'web1.example.com'), await issue(requester, '--user', 'alice'));
      process.kill(crashed.process.pid, 'SIGKILL');
      await crashed.process.ended;
    }
    await serving(hsm, async (requester) => {
      serials.push(await issue(requester, '--user', 'alice'));
      const verified = await verify(hsm);
      expect(verified).toMatchObject({ exitCode: 0 });
      await forge(hsm);
      serials.push(await issue(requester, '--host', 'web2.example.com'));
    });
    const found = await Promise.all(serials.map(async (serial) => signaturesOf(hsm, serial)));
    expect(found.map((each) => each.length)).toEqual([1, 1, 1, 1, 1]);
    await forge(hsm);
    await serving(hsm, async () => {});

    const verified = await verify(hsm);
    expect(verified.exitCode).toBe(1);
    expect(verified.stdout.match(/signature-unknown/g)).toHaveLength(2);
    const words = ['--action', 'hsm-log', '--limit', '99'];
    const batches = await hsm.made.json<{ code: string; sequence: string }[]>('audit', ...words);
    const alarms = batches.filter(({ code }) => code === 'log-signature-unknown');
    expect(alarms).toHaveLength(2);
    for (const { sequence } of alarms) {
      await hsm.made.run('audit', '--acknowledge', sequence, '--reason', 'this test did it');
    }
    expect(await verify(hsm)).toMatchObject({ exitCode: 0 });
  });
});

/** Signs a certificate for root with the CA's own password and key, as a thief of the password would. */
async function forge(hsm: HsmSite): Promise<void> {
  await using session = await hsm.session('signer');
  const signatureKey = { type: 'ssh-ed25519', key: new Uint8Array(32) } as const;
  const tbs = encodeToBeSigned(exampleFields(signatureKey, { principals: ['root'], keyId: 'forged' }));
  await session.execute(signEddsa(objectIds.userCa, tbs));
}
