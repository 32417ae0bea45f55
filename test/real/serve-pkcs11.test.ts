/** A CA that serves with its keys in a PKCS#11 token: logins with its certificates, and a token that goes away and comes back. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyCertificateSignature } from '#openssh/certificate.ts';
import type { TestCa } from '#test/support/ca.ts';
import { type LoginScene, openLoginScene } from './certified-login.ts';
import { Requester } from './serve-hsm-fixture.ts';
import { makeSofthsmToken, softhsmModule, softhsmPin } from './softhsm-token.ts';

let directory: string;
let scene: LoginScene;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-serve-pkcs11-'));
  makeSofthsmToken(directory, ['ed25519', 'ecp256', 'rsa2048']);
  scene = await openLoginScene();
});

afterAll(async () => {
  delete process.env['SOFTHSM2_CONF'];
  await scene?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

interface SignerChange {
  readonly user?: string;
  readonly host?: string;
  readonly pin?: string;
  readonly [key: string]: unknown;
}

/** The keys by their labels. */
async function tokenCa(change: SignerChange): Promise<TestCa> {
  const made = await scene.makeCa();
  await useToken(made, change);
  return made;
}

async function useToken(made: TestCa, change: SignerChange): Promise<void> {
  const { user = 'ed25519', host = 'ecp256', pin = softhsmPin, ...more } = change;
  writeFileSync(join(made.directory, 'secrets', 'pkcs11.pin'), `${pin}\n`, { mode: 0o600 });
  const signer = { type: 'pkcs11', module: softhsmModule, token: 'ca', pin_file: 'secrets/pkcs11.pin' };
  await made.set({ signer: { ...signer, user_ca: { label: user }, host_ca: { label: host }, ...more } });
}

const algorithms = { ed25519: 'ssh-ed25519', ecp256: 'ecdsa-sha2-nistp256', rsa2048: 'rsa-sha2-512' } as const;

describe('with keys in a PKCS#11 token', { timeout: 300_000 }, () => {
  it.each([
    ['ed25519', 'rsa2048'],
    ['rsa2048', 'ecp256'],
    ['ecp256', 'ed25519'],
  ] as const)('a host enrols, a person signs in, and ssh gets in: user CA %s, host CA %s', async (user, host) => {
    const made = await tokenCa({ user, host });
    await using ca = await made.serve();
    const login = await scene.logIn(ca);
    expect(login.stdout).toBe('inside');
    expect(login.user.signature.algorithm).toBe(algorithms[user]);
    expect(login.host.signature.algorithm).toBe(algorithms[host]);
    expect([login.user, login.host].map(verifyCertificateSignature)).toEqual([true, true]);
  });

  it('says that it cannot sign while the token is away, and signs when it is back', async () => {
    const made = await tokenCa({});
    await using ca = await made.serve();
    await using requester = await Requester.open(ca);
    expect(await requester.certify('--user', 'alice')).toMatchObject({ status: 201 });
    const tokens = join(directory, 'tokens');
    renameSync(tokens, `${tokens}.away`);
    try {
      const refused = await requester.certify('--user', 'alice');
      expect(refused).toMatchObject({ status: 503, code: 'signer-unavailable', retryAfter: '30' });
    } finally {
      renameSync(`${tokens}.away`, tokens);
    }
    expect(await requester.certify('--user', 'alice')).toMatchObject({ status: 201 });
    expect(ca.process.ending).toBeUndefined();
    const states = (await made.json<{ state: string }[]>('certs', '--type', 'user')).map(({ state }) => state);
    expect(states).toEqual(['issued', 'abandoned', 'issued']);
  });

  let broken: TestCa | undefined;

  it.each([
    ['a wrong PIN', { pin: '00000000' }, /PIN is wrong/],
    ['no PIN', { pin: '' }, /pkcs11\.pin is empty/],
    ['a missing PIN file', { pin_file: 'secrets/none.pin' }, /none\.pin cannot be read/],
    ['another token', { token: 'other' }, /no token with the label "other"/],
    ['a missing key', { user: 'none' }, /no key with the label "none"/],
    ['a missing module', { module: '/nonexistent.so' }, /PKCS#11 module/],
  ])('does not start with %s, and says so in a sentence', async (_, change, words) => {
    broken ??= await tokenCa({});
    await useToken(broken, change);
    await using process = broken.startServing();
    expect(await process.ended).toMatchObject({ code: 1 });
    expect(process.stderr()).toMatch(words);
    expect(process.stderr().trim().split('\n')).toHaveLength(1);
  });
});
