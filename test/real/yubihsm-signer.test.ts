/** The YubiHSM signer in both ways, against simulated devices; and what the device refuses on its own. */
import { constants, createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { describe, expect, test, vi } from 'vitest';
import { type CertificateFields, encodeToBeSigned } from '#openssh/certificate.ts';
import { keyKinds } from '#ca-lite/yubihsm/algorithms.ts';
import { capabilityBits } from '#ca-lite/yubihsm/capabilities.ts';
import { getPublicKey, signPkcs1 } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import { signSshCertificate, timestampMessage } from '#ca-lite/yubihsm/commands/ssh-certificate.ts';
import { deleteObject } from '#ca-lite/yubihsm/commands/objects.ts';
import { putTemplate } from '#ca-lite/yubihsm/commands/template.ts';
import { exportWrapped, importWrapped, putWrapKey } from '#ca-lite/yubihsm/commands/wrap.ts';
import { allDomains, domainBits } from '#ca-lite/yubihsm/domains.ts';
import { type Hsm, type HsmOptions, openHsm } from '#ca-lite/yubihsm/hsm.ts';
import type { HsmEvent } from '#ca-lite/yubihsm/hsm-event.ts';
import { sshPublicKey } from '#ca-lite/yubihsm/public-key.ts';
import type { Session } from '#ca-lite/yubihsm/session.ts';
import { encodeSshTemplate, type SshTemplate } from '#ca-lite/yubihsm/ssh-template.ts';
import { fileTimestampKey, openDeviceTimestampKey } from '#ca-lite/yubihsm/timestamp-key.ts';
import { certify, exampleFields, signerContract, type SignerUnderTest } from '#test/contract/signer.ts';
import { type Bench, factoryKeys, makeAuthKey, makeKey, startBench } from './yubihsm-fixture.ts';

const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const patience = { timeout: 60_000, interval: 5 };
const { privateKey: timestampPrivateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const template: SshTemplate = {
  timestampModulus: modulusOf(timestampPrivateKey),
  caKeyIds: [5],
  notBeforeOffsetSeconds: 10,
  notAfterOffsetSeconds: 36_000,
  forbiddenPrincipals: ['root', 'toor'],
};

for (const kind of ['ed25519', 'ecp256', 'ecp384', 'ecp521', 'rsa2048', 'rsa3072'] as const) {
  signerContract(`YubiHSM, plain ${kind}`, async () => {
    const bench = await startBench();
    await withSession(bench, (session) => makeKey(session, 5, kind, keyKinds[kind].capability));
    return underTest(bench, await openHsm(optionsFor([bench])));
  });
}

for (const algorithm of ['rsa-sha2-256', 'rsa-sha2-512'] as const) {
  signerContract(`YubiHSM, template ${algorithm}`, async () => {
    const bench = await templateBench();
    return underTest(bench, await openHsm({ ...optionsFor([bench]), keys: [templateKey({ algorithm })] }));
  });
}

signerContract('YubiHSM, template on a device that follows the documented text', async () => {
  const bench = await templateBench({ reading: 'text' });
  return underTest(bench, await openHsm({ ...optionsFor([bench]), keys: [templateKey()] }));
});

signerContract('YubiHSM, template with its timestamp key in another domain of the device', async () => {
  const bench = await startBench();
  const timestampKeys = await withSession(bench, async (session) => {
    await makeKey(session, 9, 'rsa2048', 'sign-pkcs');
    const keys = await makeAuthKey(session, 4, 'timestamp', ['sign-pkcs'], domainBits(3));
    const { bytes } = await session.execute(getPublicKey(9));
    await installTemplate(session, { ...template, timestampModulus: bytes });
    return keys;
  });
  const timestampKey = await openDeviceTimestampKey(
    { connectors: [bench.connector], authKeyId: 4, keys: timestampKeys, keyId: 9 },
    nowSeconds,
  );
  const keys = [{ keyId: 5, template: { templateId: 10, timestampKey } }];
  return underTest(bench, await openHsm({ ...optionsFor([bench]), keys }));
});

describe('the signer', () => {
  test('of two CA keys on one device shares one session', async () => {
    await using bench = await startBench();
    await withSession(bench, async (session) => {
      await makeKey(session, 5, 'ed25519', 'sign-eddsa');
      await makeKey(session, 6, 'ecp256', 'sign-ecdsa');
    });
    await using hsm = await openHsm({ ...optionsFor([bench]), keys: [{ keyId: 5 }, { keyId: 6 }] });
    await Promise.all([5, 6].map((keyId) => certify(hsm.signer(keyId))));
    expect(bench.simulator.device.statistics).toMatchObject({ openSessions: 1, mostSessions: 1 });
    expect(() => hsm.signer(7)).toThrow(TypeError);
  });

  test('does not let a signature out that does not verify', async () => {
    await using bench = await startBench();
    await withSession(bench, (session) => makeKey(session, 5, 'ed25519', 'sign-eddsa'));
    await using hsm = await openHsm(optionsFor([bench]));
    await certify(hsm.signer(5));
    await withSession(bench, async (session) => {
      await session.execute(deleteObject(5, 'asymmetric-key'));
      await makeKey(session, 5, 'ed25519', 'sign-eddsa');
    });
    await expect(certify(hsm.signer(5))).rejects.toMatchObject({ name: 'SignerError', code: 'signature-invalid' });
  });

  test('does not start with another key than the configured one', async () => {
    await using bench = await startBench();
    await withSession(bench, (session) => makeKey(session, 5, 'ed25519', 'sign-eddsa'));
    const publicKey = { type: 'ssh-ed25519', key: new Uint8Array(32) } as const;
    const opened = openHsm({ ...optionsFor([bench]), keys: [{ keyId: 5, publicKey }] });
    await expect(opened).rejects.toMatchObject({ code: 'key-mismatch' });
    expect(bench.simulator.device.statistics.openSessions).toBe(0);
  });

  test('names the capability that is missing', async () => {
    await using bench = await startBench();
    const keys = await withSession(bench, async (session) => {
      await makeKey(session, 5, 'ecp256', 'sign-ecdsa');
      return makeAuthKey(session, 2, 'signer', ['sign-eddsa']);
    });
    const devices = [{ connector: bench.connector, authKeyId: 2, keys }];
    await using hsm = await openHsm({ devices, keys: [{ keyId: 5 }], nowSeconds });
    const refused = certify(hsm.signer(5));
    await expect(refused).rejects.toMatchObject({ name: 'SignerError', code: 'signer-unavailable' });
    await expect(refused).rejects.toThrow(/sign-ecdsa/);
  });

  test('tells a full queue with the time to come back', async () => {
    await using bench = await startBench();
    await withSession(bench, (session) => makeKey(session, 5, 'ed25519', 'sign-eddsa'));
    await using hsm = await openHsm({ ...optionsFor([bench]), maxWaiting: 2 });
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => certify(hsm.signer(5))));
    const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) expect(error).toMatchObject({ code: 'signer-overloaded', retryAfterSeconds: 1 });
  });

  test('tells a deadline apart from a device that is gone', async () => {
    await using bench = await startBench();
    await withSession(bench, (session) => makeKey(session, 5, 'ed25519', 'sign-eddsa'));
    await using hsm = await openHsm(optionsFor([bench]));
    await certify(hsm.signer(5));
    bench.simulator.faults.deviceGone = true;
    const deadline = new AbortController();
    const signed = hsm.signer(5).sign(new Uint8Array(10), { priority: 'host', signal: deadline.signal });
    signed.catch(() => {});
    await vi.waitUntil(() => hsm.pool.devices[0]?.failure !== undefined, patience);
    deadline.abort();
    await expect(signed).rejects.toMatchObject({ code: 'aborted' });
    await expect(signed).rejects.toThrow(/HTTP status 500/);
  });

  test('warns of old firmware with an ECDSA key, and only then', async () => {
    const warningsOf = async (kind: 'ecp256' | 'ed25519', minor: number): Promise<HsmEvent[]> => {
      await using bench = await startBench({ firmware: [2, minor, 0] });
      await withSession(bench, (session) => makeKey(session, 5, kind, keyKinds[kind].capability));
      const events: HsmEvent[] = [];
      await using hsm = await openHsm({ ...optionsFor([bench]), report: (event) => events.push(event) });
      await certify(hsm.signer(5));
      return events.filter((event) => event.kind === 'warning');
    };
    expect(await warningsOf('ecp256', 3)).toHaveLength(1);
    expect(await warningsOf('ecp256', 4)).toHaveLength(0);
    expect(await warningsOf('ed25519', 3)).toHaveLength(0);
  });

  test('refuses a body that old firmware cannot take, before it is sent', async () => {
    await using bench = await startBench({ firmware: [2, 3, 0] });
    await withSession(bench, (session) => makeKey(session, 5, 'ed25519', 'sign-eddsa'));
    await using hsm = await openHsm(optionsFor([bench]));
    const sign = (length: number): Promise<unknown> => hsm.signer(5).sign(randomBytes(length), { priority: 'user' });
    await sign(2019);
    await expect(sign(2020)).rejects.toMatchObject({ code: 'signer-refused', cause: { code: 'message-too-long' } });
  });

  test('goes on with the second device when the first dies, with a key that came there under wrap', async () => {
    await using first = await startBench();
    await using second = await startBench();
    await copyKey(first, second);
    await using hsm = await openHsm(optionsFor([first, second]));
    await certify(hsm.signer(5));
    first.simulator.faults.deviceGone = true;
    for (let i = 0; i < 5; i++) await certify(hsm.signer(5));
    expect(second.simulator.device.statistics.executed.get(0x6a)).toBeGreaterThan(0);
  });

  test('does not use a second device that holds another key under the same id', async () => {
    await using first = await startBench();
    await using second = await startBench();
    for (const bench of [first, second]) {
      await withSession(bench, (session) => makeKey(session, 5, 'ed25519', 'sign-eddsa'));
    }
    await using hsm = await openHsm(optionsFor([first, second]));
    await Promise.all(Array.from({ length: 20 }, () => certify(hsm.signer(5))));
    await vi.waitUntil(() => hsm.pool.devices[1]?.failure?.code === 'key-mismatch', patience);
    expect(second.simulator.device.statistics.executed.get(0x6a)).toBeUndefined();
  });
});

describe('under a template', () => {
  test.each([
    ['a forbidden principal', { principals: ['alice', 'root'] }],
    ['a lifetime beyond the template', { validBefore: BigInt(nowSeconds() + 37_000) }],
    ['a start too long ago', { validAfter: BigInt(nowSeconds() - 3600) }],
  ])('the signer refuses %s before it asks the device', async (_, change) => {
    await using bench = await templateBench();
    await using hsm = await openHsm({ ...optionsFor([bench]), keys: [templateKey()] });
    const refused = certify(hsm.signer(5), change);
    await expect(refused).rejects.toMatchObject({ code: 'signer-refused', cause: { code: 'template-violation' } });
    expect(bench.simulator.device.statistics.executed.get(0x5d)).toBeUndefined();
  });

  describe.each(['examples', 'text'] as const)('the device itself, reading the offsets as the %s say', (reading) => {
    const now = nowSeconds();
    test.each([
      ['what fits', {}, {}, undefined],
      ['a forbidden principal', { principals: ['alice', 'toor'] }, {}, 0x0e],
      ['too long a lifetime', { validBefore: BigInt(now + 40_000) }, {}, 0x0e],
      ['back-dating by an hour', { validAfter: BigInt(now - 3600) }, {}, 0x0e],
      ['validity for ever', { validBefore: 2n ** 64n - 2n }, {}, 0x0e],
      ['a CA key that the template does not name', {}, { keyId: 6 }, 0x0e],
      ['a timestamp that nobody signed', {}, { timestampSignature: new Uint8Array(256) }, 0x0e],
      ['a timestamp other than the signed one', {}, { timestampSeconds: now + 1 }, 0x0e],
      ['a template that is not there', {}, { templateId: 11 }, 0x0b],
      ['a key that may sign plainly only', {}, { keyId: 7 }, 0x09],
    ] as const)('answers to %s', async (_, fields, change, refusal) => {
      await using bench = await templateBench({ reading });
      await using session = await bench.session();
      await makeKey(session, 6, 'rsa2048', 'sign-ssh-certificate');
      await makeKey(session, 7, 'rsa2048', 'sign-pkcs');
      const caKey = sshPublicKey(await session.execute(getPublicKey(5)));
      const body: CertificateFields = exampleFields(caKey, { validAfter: BigInt(now + 10), ...fields });
      const tbs = encodeToBeSigned(body);
      const timestampSignature = signTimestamp(tbs, now);
      const request = { keyId: 5, templateId: 10, algorithm: 'rsa-sha2-512', timestampSeconds: now } as const;
      const answer = session.execute(signSshCertificate({ ...request, timestampSignature, tbs, ...change }));
      if (refusal === undefined) expect((await answer).length).toBeGreaterThan(256);
      else await expect(answer).rejects.toMatchObject({ deviceCode: refusal });
    });
  });

  test('a key that may only sign under a template signs nothing else', async () => {
    await using bench = await templateBench();
    await using session = await bench.session();
    const digest = createHash('sha256').update('anything').digest();
    await expect(session.execute(signPkcs1(5, digest))).rejects.toMatchObject({
      code: 'device-insufficient-permissions',
    });
  });

  test('the holder of the timestamp key signs no time that is far from its own', async () => {
    const key = fileTimestampKey(timestampPrivateKey, nowSeconds);
    const tbs = new Uint8Array(10);
    await expect(key.sign(tbs, nowSeconds() - 400, { priority: 'user' })).rejects.toMatchObject({
      code: 'template-violation',
    });
    expect(await key.sign(tbs, nowSeconds() - 200, { priority: 'user' })).toHaveLength(256);
  });

  test('a template with another timestamp key, and a key that is not RSA, are found when opening', async () => {
    await using bench = await templateBench();
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const wrong = templateKey({ timestampKey: fileTimestampKey(other, nowSeconds) });
    const mismatch = openHsm({ ...optionsFor([bench]), keys: [wrong] });
    await expect(mismatch).rejects.toMatchObject({ code: 'key-mismatch' });
    await withSession(bench, (session) => makeKey(session, 8, 'ed25519', 'sign-eddsa'));
    const notRsa = openHsm({ ...optionsFor([bench]), keys: [{ ...templateKey(), keyId: 8 }] });
    await expect(notRsa).rejects.toMatchObject({ code: 'bad-input' });
  });
});

function optionsFor(benches: readonly Bench[]): HsmOptions {
  const devices = benches.map(({ connector }) => ({ connector, authKeyId: 1, keys: factoryKeys }));
  return { devices, keys: [{ keyId: 5 }], nowSeconds };
}

function templateKey(
  change: { algorithm?: 'rsa-sha2-256' | 'rsa-sha2-512'; timestampKey?: ReturnType<typeof fileTimestampKey> } = {},
): HsmOptions['keys'][number] {
  const { algorithm = 'rsa-sha2-512', timestampKey = fileTimestampKey(timestampPrivateKey, nowSeconds) } = change;
  return { keyId: 5, algorithm, template: { templateId: 10, timestampKey } };
}

async function templateBench(options: Parameters<typeof startBench>[0] = {}): Promise<Bench> {
  const bench = await startBench(options);
  await withSession(bench, (session) => installTemplate(session, template));
  return bench;
}

async function installTemplate(session: Session, content: SshTemplate): Promise<void> {
  await makeKey(session, 5, 'rsa2048', 'sign-ssh-certificate');
  const header = { id: 10, label: 'template', domains: allDomains, capabilities: 0n };
  await session.execute(putTemplate(header, encodeSshTemplate(content)));
}

async function copyKey(from: Bench, to: Bench): Promise<void> {
  const header = {
    id: 0x77,
    label: 'wrap',
    domains: allDomains,
    capabilities: capabilityBits('export-wrapped', 'import-wrapped'),
    delegated: capabilityBits('sign-eddsa', 'exportable-under-wrap'),
  };
  const wrapKey = randomBytes(32);
  for (const bench of [from, to]) await withSession(bench, (session) => session.execute(putWrapKey(header, wrapKey)));
  const wrapped = await withSession(from, async (session) => {
    await makeKey(session, 5, 'ed25519', 'sign-eddsa', 'exportable-under-wrap');
    return session.execute(exportWrapped(0x77, 'asymmetric-key', 5));
  });
  await withSession(to, (session) => session.execute(importWrapped(0x77, wrapped)));
}

async function withSession<T>(bench: Bench, work: (session: Session) => Promise<T>): Promise<T> {
  await using session = await bench.session();
  return await work(session);
}

function underTest(bench: Bench, hsm: Hsm): SignerUnderTest {
  return {
    signer: hsm.signer(5),
    [Symbol.asyncDispose]: async () => {
      await hsm[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}

function signTimestamp(tbs: Uint8Array, timestampSeconds: number): Uint8Array {
  const options = { key: timestampPrivateKey, padding: constants.RSA_PKCS1_PADDING };
  return new Uint8Array(sign('sha256', timestampMessage(tbs, timestampSeconds), options));
}

function modulusOf(key: KeyObject): Uint8Array {
  return new Uint8Array(Buffer.from(key.export({ format: 'jwk' }).n ?? '', 'base64url'));
}
