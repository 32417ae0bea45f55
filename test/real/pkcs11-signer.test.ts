/** The PKCS#11 signer with SoftHSM2, a token in software from another hand. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadPkcs11 } from '#ca-lite/pkcs11/addon.ts';
import type { Pkcs11Settings } from '#ca-lite/pkcs11/signer-section.ts';
import { openPkcs11Signers } from '#ca-lite/pkcs11/signer-settings.ts';
import { tokenSigner } from '#ca-lite/pkcs11/signer.ts';
import { Token } from '#ca-lite/pkcs11/token.ts';
import { certify, signerContract, type SignerUnderTest } from '#test/contract/signer.ts';
import { makeSofthsmToken, softhsmModule, softhsmPin } from './softhsm-token.ts';

const module = softhsmModule;
const pin = softhsmPin;
const kinds = ['ed25519', 'ecp256', 'ecp384', 'ecp521', 'rsa2048', 'rsa3072'] as const;
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pkcs11-'));
  makeSofthsmToken(directory, kinds, ['rsa3072']);
  writeFileSync(join(directory, 'pin'), `${pin}\n`, { mode: 0o600 });
});

afterAll(() => {
  delete process.env['SOFTHSM2_CONF'];
  rmSync(directory, { recursive: true });
});

function open(label: string): SignerUnderTest & { token: Token } {
  const token = new Token({ module, label: 'ca', pin });
  return { token, signer: tokenSigner(token, { label }), [Symbol.asyncDispose]: () => token[Symbol.asyncDispose]() };
}

for (const kind of kinds.filter((each) => each !== 'rsa3072')) {
  signerContract(`PKCS#11, ${kind}`, async () => open(kind));
}

const settings = (change: Partial<Pkcs11Settings> = {}): Pkcs11Settings => ({
  type: 'pkcs11',
  module,
  token: 'ca',
  pin_file: 'pin',
  user_ca: { label: 'ed25519' },
  host_ca: { id: '02' },
  ...change,
});

describe('the token', () => {
  test('is opened as the configuration says, with keys by label and by id', async () => {
    await using signers = await openPkcs11Signers(settings(), { directory });
    await certify(signers.user);
    await certify(signers.host, { type: 'host' });
    expect(signers.host.algorithm).toBe('ecdsa-sha2-nistp256');
  });

  test('is opened again when its session is gone, and the signature made', async () => {
    await using under = open('ecp256');
    await certify(under.signer);
    const api = loadPkcs11();
    const p11 = new api.PKCS11();
    p11.load(module);
    p11.C_CloseAllSessions(p11.C_GetSlotList(true)[0]!);
    await certify(under.signer);
    p11.C_Finalize();
    await certify(under.signer);
    expect(under.signer.algorithm).toBe('ecdsa-sha2-nistp256');
  });

  test('says when a key may not sign', async () => {
    await using under = open('rsa3072');
    await expect(certify(under.signer)).rejects.toMatchObject({ name: 'SignerError', code: 'signer-unavailable' });
    await expect(certify(under.signer)).rejects.toThrow('the key may not be used to sign');
  });

  test.each([
    ['a wrong PIN', () => openWith({ pin_file: 'wrong' }), /PIN is wrong/],
    ['a missing PIN file', () => openWith({ pin_file: 'none' }), /cannot be read/],
    ['a token that is not there', () => openWith({ token: 'other' }), /no token with the label "other"/],
    ['a key that is not there', () => openWith({ user_ca: { label: 'none' } }), /no key with the label "none"/],
    ['a module that is not there', () => openWith({ module: '/nonexistent.so' }), /PKCS#11 module failed/],
  ])('says what is wrong: %s', async (_, opened, words) => {
    writeFileSync(join(directory, 'wrong'), '00000000\n');
    await expect(opened()).rejects.toThrow(words);
  });

  test('with another key than the configured one is not used', async () => {
    await using under = open('ed25519');
    const { publicKey } = under.signer;
    const wrong = openPkcs11Signers(settings(), { directory, publicKeys: { user: publicKey, host: publicKey } });
    await expect(wrong).rejects.toMatchObject({ code: 'key-mismatch' });
  });

  test('serves users before hosts, and refuses what is too much', async () => {
    const token = new Token({ module, label: 'ca', pin, maxWaiting: 5 });
    await using _ = token;
    const signer = tokenSigner(token, { label: 'ecp384' });
    const order: string[] = [];
    const sign = (priority: 'user' | 'host'): Promise<unknown> =>
      signer.sign(new Uint8Array(10), { priority }).then(() => order.push(priority));
    const hosts = await Promise.allSettled([...Array.from({ length: 10 }, () => sign('host')), sign('user')]);
    expect(order.indexOf('user')).toBeLessThanOrEqual(1);
    const refused = hosts.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) expect(error).toMatchObject({ code: 'signer-overloaded', retryAfterSeconds: 1 });
  });
});

async function openWith(change: Partial<Pkcs11Settings>): Promise<void> {
  await using _ = await openPkcs11Signers(settings(change), { directory });
}
