/**
 * Logins with certificates that a (simulated) YubiHSM signed, in both ways; and, under a template, what the device itself refuses although the
 * CA would let it through.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { encodeToBeSigned, verifyCertificateSignature } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { getPublicKey } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import { signSshCertificate } from '#ca-lite/yubihsm/commands/ssh-certificate.ts';
import { sshPublicKey } from '#ca-lite/yubihsm/public-key.ts';
import { objectIds } from '#ca-lite/yubihsm/setup/plan.ts';
import { secretFile } from '#ca-lite/yubihsm/setup/secret-files.ts';
import { fileTimestampKey, parseTimestampKey } from '#ca-lite/yubihsm/timestamp-key.ts';
import { exampleFields } from '#test/contract/signer.ts';
import { type LoginScene, openLoginScene } from './certified-login.ts';
import { type HsmSite, openHsmSite, Requester, ways } from './serve-hsm-fixture.ts';

let scene: LoginScene;

beforeAll(async () => {
  scene = await openLoginScene();
});
afterAll(async () => scene?.[Symbol.asyncDispose]());

describe.each(Object.entries(ways))(
  'with keys in a YubiHSM, signing in the way %s',
  { timeout: 300_000 },
  (_, words) => {
    it('a host enrols, a person signs in, and ssh gets in with both certificates', async () => {
      await using hsm = await openHsmSite({ words, made: await scene.makeCa() });
      await using ca = await hsm.made.serve();
      const { host, user, stdout } = await scene.logIn(ca);
      expect(stdout).toBe('inside');
      expect(user.principals).toEqual(['alice']);
      for (const certificate of [host, user]) {
        expect(verifyCertificateSignature(certificate)).toBe(true);
        expect(fingerprintOf(encodePublicKey(certificate.signatureKey))).toBe(hsm.keys[certificate.type]);
      }
    });
  },
);

describe('under a template', { timeout: 300_000 }, () => {
  it("the device refuses what the CA's policy was switched off for, and what a taken-over CA would ask", async () => {
    const certificates = { user_lifetime: '1h', user_max_lifetime: '365d', user_principals: ['*', 'root'] };
    await using hsm = await openHsmSite({ settings: [{ certificates }] });
    {
      await using ca = await hsm.made.serve();
      await using requester = await Requester.open(ca);
      const refused = { status: 403, code: 'signer-refused' };
      expect(await requester.certify('--user', 'alice')).toMatchObject({ status: 201 });
      expect(await requester.certify('--user', 'root')).toMatchObject(refused);
      expect(await requester.certify('--user', 'alice', '--not-after', '48h')).toMatchObject(refused);
      const records = await hsm.made.json<{ state: string }[]>('certs', '--type', 'user');
      expect(records.map(({ state }) => state)).toEqual(['abandoned', 'abandoned', 'issued']);
    }
    const ask = await takenOver(hsm);
    const forbidden = { code: 'device-ssh-constraint-violation' };
    const now = BigInt(Math.floor(Date.now() / 1000));
    await expect(ask({})).resolves.toBeInstanceOf(Uint8Array);
    await expect(ask({ change: { principals: ['alice', 'root'] } })).rejects.toMatchObject(forbidden);
    await expect(ask({ change: { validBefore: now + 90_000n } })).rejects.toMatchObject(forbidden);
    await expect(ask({ change: { validAfter: now - 86_400n } })).rejects.toMatchObject(forbidden);
    await expect(ask({ keyId: objectIds.hostCa })).rejects.toMatchObject(forbidden);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await expect(ask({ timestampKey: privateKey })).rejects.toMatchObject(forbidden);
  });
});

interface Request {
  readonly change?: Parameters<typeof exampleFields>[1];
  readonly keyId?: number;
  readonly timestampKey?: KeyObject;
}

/** Asks the device as whoever has all secrets of the CA's directory, without any check of ours. */
async function takenOver(hsm: HsmSite): Promise<(request: Request) => Promise<Uint8Array>> {
  const session = await hsm.session('signer');
  onTestFinished(async () => session.close());
  const userCa = sshPublicKey(await session.execute(getPublicKey(objectIds.userCa)));
  const own = parseTimestampKey(readFileSync(secretFile(hsm.made.directory, 'timestampKey'), 'utf8'));
  return async ({ change = {}, keyId = objectIds.userCa, timestampKey = own }) => {
    const timestampSeconds = Math.floor(Date.now() / 1000);
    const validAfter = BigInt(timestampSeconds + 15);
    const tbs = encodeToBeSigned(exampleFields(userCa, { validAfter, validBefore: validAfter + 3600n, ...change }));
    const signer = fileTimestampKey(timestampKey, () => timestampSeconds);
    const timestampSignature = await signer.sign(tbs, timestampSeconds, { priority: 'user' });
    const request = { keyId, templateId: objectIds.userTemplate, timestampSeconds, timestampSignature, tbs } as const;
    return session.execute(signSshCertificate({ ...request, algorithm: 'rsa-sha2-512' }));
  };
}
