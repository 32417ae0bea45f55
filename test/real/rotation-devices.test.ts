/** Rotations to keys in devices while the CA serves: a (simulated) YubiHSM, and a PKCS#11 token (SoftHSM2). */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadPkcs11 } from '#ca-lite/pkcs11/addon.ts';
import { makeCa } from '#test/support/ca.ts';
import { caProgram } from '#test/support/programs.ts';
import { BusyHost, RotationStage, until } from '#test/support/rotation-stage.ts';
import { makeHostKey } from '#test/support/sshpop-client.ts';
import { makeKey, startBench } from './yubihsm-fixture.ts';

interface Device {
  readonly signer: Readonly<Record<string, unknown>>;
  /** How `rotate start` names the next host CA key, and a key that is none. */
  readonly next: readonly string[];
  readonly absent: readonly string[];
}

async function yubihsm(directory: string): Promise<Device> {
  const bench = await startBench();
  onTestFinished(() => bench[Symbol.asyncDispose]());
  await using session = await bench.session();
  for (const id of [0x101, 0x102, 0x104]) await makeKey(session, id, 'ed25519', 'sign-eddsa');
  await writeFile(join(directory, 'password'), 'password\n', { mode: 0o600 });
  const password = join(directory, 'password');
  const access = { auth_key: 1, password_file: password, auditor_key: 1, auditor_password_file: password };
  return {
    signer: {
      type: 'yubihsm',
      connectors: [bench.simulator.url],
      ...access,
      user_ca: { key: 0x101 },
      host_ca: { key: 0x102 },
    },
    next: ['--object', '0x0104'],
    absent: ['--object', '0x0105'],
  };
}

const module = '/usr/lib/softhsm/libsofthsm2.so';
const pin = '12345678';

async function pkcs11(directory: string): Promise<Device> {
  const configuration = join(directory, 'softhsm2.conf');
  await writeFile(configuration, `directories.tokendir = ${directory}\nobjectstore.backend = file\n`);
  process.env['SOFTHSM2_CONF'] = configuration;
  onTestFinished(() => {
    delete process.env['SOFTHSM2_CONF'];
  });
  const init = ['--init-token', '--free', '--label', 'ca', '--pin', pin, '--so-pin', '87654321'];
  execFileSync('softhsm2-util', init, { stdio: 'pipe' });
  makeTokenKeys(['user', 'host', 'next host']);
  await writeFile(join(directory, 'pin'), `${pin}\n`, { mode: 0o600 });
  const access = { module, token: 'ca', pin_file: join(directory, 'pin') };
  return {
    signer: { type: 'pkcs11', ...access, user_ca: { label: 'user' }, host_ca: { label: 'host' } },
    next: ['--label', 'next host'],
    absent: ['--label', 'nothing'],
  };
}

/** ECDSA P-256. */
function makeTokenKeys(labels: readonly string[]): void {
  const api = loadPkcs11();
  const p11 = new api.PKCS11();
  p11.load(module);
  p11.C_Initialize();
  const slot = p11.C_GetSlotList(true).find((each) => p11.C_GetTokenInfo(each).label.trim() === 'ca');
  if (slot === undefined) throw new Error('no token');
  const session = p11.C_OpenSession(slot, api.CKF_SERIAL_SESSION | api.CKF_RW_SESSION);
  p11.C_Login(session, api.CKU_USER, pin);
  for (const label of labels) {
    const common = [
      { type: api.CKA_TOKEN, value: true },
      { type: api.CKA_LABEL, value: label },
    ];
    const curve = { type: api.CKA_EC_PARAMS, value: Buffer.from('06082a8648ce3d030107', 'hex') };
    p11.C_GenerateKeyPair(
      session,
      { mechanism: api.CKM_EC_KEY_PAIR_GEN },
      [...common, curve, { type: api.CKA_VERIFY, value: true }],
      [...common, { type: api.CKA_SIGN, value: true }],
    );
  }
  p11.C_Finalize();
  p11.close();
}

test.each([
  ['a YubiHSM', yubihsm],
  ['a PKCS#11 token', pkcs11],
] as const)('a running CA walks to another key in %s', { timeout: 300_000 }, async (_name, prepare) => {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-rotation-device-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const { signer, next, absent } = await prepare(directory);
  const made = await makeCa({ within: directory, quick: true, program: caProgram('sources') });
  await made.set({ signer });
  const first = await (async () => {
    await using ca = await made.serve();
    await using stage = await RotationStage.open(ca);
    const { hostCas } = await stage.trust();
    expect((await made.attempt('rotate', 'start', '--type', 'host')).stderr).toContain('make the next one there');
    expect((await made.attempt('rotate', 'start', '--type', 'host', ...absent)).stderr).toContain(
      'Nothing was changed',
    );
    await using busy = await BusyHost.start(stage, 'busy.lab.example');
    await stage.rotate('start', '--type', 'host', ...next);
    const published = await stage.untilTrust('host', ['current', 'next']);
    expect(published.hostCas[0]).toEqual(hostCas[0]);
    await stage.rotate('switch', '--type', 'host', '--wait');
    const switched = await stage.untilTrust('host', ['current', 'old']);
    expect(switched.hostCas.map(({ fingerprint }) => fingerprint)).toEqual(
      published.hostCas.map(({ fingerprint }) => fingerprint).toReversed(),
    );
    const renewals = busy.renewals;
    await until(
      async () => busy.renewals,
      (count) => count > renewals + 1,
    );
    expect(busy.failures).toEqual([]);
    return switched.hostCas[0];
  })();
  await using ca = await made.serve(); // ca.toml still names the first key; the record of CA keys counts
  await using stage = await RotationStage.open(ca);
  expect((await stage.trust()).hostCas[0]).toEqual(first);
  await stage.rotate('retire', '--type', 'host', '--wait');
  const { hostCas } = await stage.untilTrust('host', ['current']);
  expect(hostCas).toEqual([first]);
  expect(await made.run('audit', '--verify')).toContain('whole');
  expect(await stage.certify(makeHostKey().blob, '--host', 'web2.lab.example')).toBeInstanceOf(Uint8Array);
});
