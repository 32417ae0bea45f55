/** `countersign-ca hsm` from the command line, against simulated devices: set up, look at, back up, restore, sign. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { Value } from 'typebox/value';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readAttestation } from '#ca-lite/yubihsm/attestation.ts';
import { getObjectInfo, listObjects } from '#ca-lite/yubihsm/commands/objects.ts';
import { keysFromPassword } from '#ca-lite/yubihsm/scp03.ts';
import { parseCertificates } from '#ca-lite/yubihsm/setup/attest.ts';
import { objectIds } from '#ca-lite/yubihsm/setup/plan.ts';
import { YubiHsmSection, type YubiHsmSettings } from '#ca-lite/yubihsm/signer-section.ts';
import { openYubiHsmSigners } from '#ca-lite/yubihsm/signer-settings.ts';
import { certify } from '#test/contract/signer.ts';
import { type Bench, startBench } from './yubihsm-fixture.ts';
import { hsm } from './yubihsm-hsm-command.ts';

interface Site {
  bench: Bench;
  directory: string;
  /** `--dir`, `--connector`, `--administrator-password-file`. */
  words: string[];
  path(name: string): string;
}

async function newSite(directory?: string): Promise<Site> {
  const bench = await startBench();
  const own = directory ?? (await mkdtemp(join(tmpdir(), 'hsm-setup-')));
  onTestFinished(async () => {
    await bench[Symbol.asyncDispose]();
    if (directory === undefined) await rm(own, { recursive: true });
  });
  const path = (name: string): string => join(own, name);
  await writeFile(path('administrator'), 'correct horse\n', { mode: 0o600 });
  const words = ['--dir', own, '--connector', bench.simulator.url];
  return { bench, directory: own, path, words };
}

const administrator = (site: Site): string[] => ['--administrator-password-file', site.path('administrator')];
const shares = (site: Site, ...numbers: number[]): string[] =>
  numbers.flatMap((number) => ['--share-file', site.path(`share-${number}`)]);

function initWords(site: Site, ...more: string[]): string[] {
  const files = [...administrator(site), ...shares(site, 1, 2, 3), '--backup', site.path('backup.json')];
  return ['init', ...site.words, ...files, '--json', ...more];
}

interface Done {
  serial: number;
  userCa: string;
  hostCa: string;
  config: string;
}

async function initialised(site: Site, ...more: string[]): Promise<Done> {
  const outcome = await hsm(...initWords(site, ...more));
  expect(outcome).toMatchObject({ exitCode: 0, stderr: '' });
  return JSON.parse(outcome.stdout) as Done;
}

function settingsOf(config: string, connectors?: string[]): YubiHsmSettings {
  const { signer } = parse(config) as { signer: unknown };
  if (!Value.Check(YubiHsmSection, signer)) throw new Error('the section does not fit its schema');
  return { ...signer, ...(connectors && { connectors }) };
}

const ways = [
  ['template, timestamp key in a file', []],
  ['template, timestamp key in the device', ['--timestamp-key', 'device']],
  ['plain ed25519', ['--way', 'plain']],
  ['plain ecp256', ['--way', 'plain', '--kind', 'ecp256']],
] as const;

describe.each(ways)('%s', (_, words) => {
  test('init makes a device with which the CA signs, as its configuration says', async () => {
    const site = await newSite();
    const done = await initialised(site, ...words);
    await using signers = await openYubiHsmSigners(settingsOf(done.config), { directory: site.directory });
    await certify(signers.user);
    await certify(signers.host, { type: 'host', principals: ['web1.example.com'] });
    expect(done.userCa).not.toBe(done.hostCa);
  });

  test('restore makes a second device that signs in the place of the first', async () => {
    const site = await newSite();
    const done = await initialised(site, ...words);
    const second = await newSite(site.directory);
    const restored = await hsm(
      'restore',
      site.path('backup.json'),
      ...second.words,
      ...administrator(site),
      ...shares(site, 3, 1),
      '--json',
    );
    expect(restored).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(restored.stdout)).toMatchObject({ userCa: done.userCa, hostCa: done.hostCa });
    const settings = settingsOf(done.config, [site.bench.simulator.url, second.bench.simulator.url]);
    await using signers = await openYubiHsmSigners(settings, { directory: site.directory });
    await certify(signers.user);
    site.bench.simulator.faults.deviceGone = true;
    await certify(signers.user);
    await certify(signers.host, { type: 'host' });
  });
});

describe('after init', () => {
  test('the password of the factory is gone, no wrap key is left, and secrets are for their owner alone', async () => {
    const site = await newSite();
    await initialised(site, '--way', 'plain');
    await expect(site.bench.session()).rejects.toMatchObject({ code: 'device-object-not-found' });
    await using session = await site.bench.session(objectIds.administrator, await keysFromPassword('correct horse'));
    const objects = await session.execute(listObjects());
    expect(objects.filter(({ type }) => type === 'wrap-key')).toEqual([]);
    const { origin } = await session.execute(getObjectInfo(objectIds.userCa, 'asymmetric-key'));
    expect(origin).toEqual({ generated: true, imported: false, importedUnderWrap: true });
    for (const file of ['secrets/hsm-signer.password', 'secrets/hsm-auditor.password', 'share-1', 'backup.json']) {
      expect((await stat(site.path(file))).mode & 0o777).toBe(0o600);
    }
    expect(site.bench.simulator.device.statistics.openSessions).toBe(1);
  });

  test('status finds nothing wrong, and says what each key may do', async () => {
    const site = await newSite();
    await initialised(site);
    const json = await hsm('status', ...site.words, '--json');
    const parsed = JSON.parse(json.stdout) as {
      findings: unknown[];
      objects: { id: string; capabilities: string[] }[];
    };
    expect(json.exitCode).toBe(0);
    expect(parsed.findings).toEqual([]);
    expect(parsed.objects.find(({ id }) => id === '0x0011')?.capabilities).toEqual([
      'sign-ssh-certificate',
      'get-template',
    ]);
    const text = await hsm('status', ...site.words);
    expect(text.stdout).toContain('Nothing was found to be wrong.');
    expect(text.stdout).toMatch(
      /0x0101 +asymmetric-key +rsa2048 +1 +exportable-under-wrap sign-ssh-certificate|sign-ssh/,
    );
  });

  test('backup makes another backup that restores as well', async () => {
    const site = await newSite();
    const done = await initialised(site, '--way', 'plain');
    const made = await hsm(
      'backup',
      site.path('second.json'),
      ...site.words,
      '--from',
      site.path('backup.json'),
      ...administrator(site),
      ...shares(site, 1, 2),
    );
    expect(made).toMatchObject({ exitCode: 0, stderr: '' });
    const second = await newSite(site.directory);
    const words = ['restore', site.path('second.json'), ...second.words, ...administrator(site), ...shares(site, 2, 3)];
    const restored = await hsm(...words, '--json');
    expect(JSON.parse(restored.stdout)).toMatchObject({ userCa: done.userCa });
  });

  test('a second init is refused, and a reset begins anew', async () => {
    const site = await newSite();
    await initialised(site, '--way', 'plain');
    const files = await hsm(...initWords(site, '--way', 'plain'));
    expect(files).toMatchObject({ exitCode: 1 });
    expect(files.stderr).toContain('is there already');
    const fresh = await newSite();
    const present = ['--auth-key', '0x0010', '--password-file', site.path('administrator')];
    const connector = ['--connector', site.bench.simulator.url, '--way', 'plain', ...present];
    const refused = await hsm(...initWords(fresh, ...connector));
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain('is set up already');
    await rm(fresh.path('secrets'), { recursive: true, force: true });
    const again = await hsm(...initWords(fresh, ...connector, '--reset'));
    expect(again).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

describe('attestations', () => {
  test.each([
    ['under a template', []],
    ['of ECDSA keys', ['--way', 'plain', '--kind', 'ecp384']],
  ])('%s are kept, and prove where the CA keys were made', async (_, words) => {
    const site = await newSite();
    await initialised(site, ...words);
    const [user, host, device] = parseCertificates(await readFile(site.path('hsm-attestation.pem'), 'utf8'));
    expect(user?.subject).toBe('CN=YubiHSM Attestation id:0x0101');
    expect(readAttestation(host!.raw)).toMatchObject({
      serial: 12_345_678,
      firmware: [2, 4, 0],
      origin: { generated: true, imported: false, importedUnderWrap: false },
      domains: 2,
      id: 0x0102,
      label: 'countersign host CA',
    });
    const plain = await hsm('status', ...site.words, '--json');
    expect(JSON.parse(plain.stdout)).toMatchObject({
      attested: { verdict: 'made-in-device', serial: 12_345_678 },
      findings: [],
    });
    await writeFile(site.path('vendor.pem'), String(device));
    const vendor = await hsm('status', ...site.words, '--vendor-certificates', site.path('vendor.pem'));
    expect(vendor).toMatchObject({ exitCode: 0 });
    expect(vendor.stdout).toContain('the vendor vouches for the device');
    await writeFile(site.path('vendor.pem'), String(user));
    const other = await hsm('status', ...site.words, '--vendor-certificates', site.path('vendor.pem'), '--json');
    expect(other).toMatchObject({ exitCode: 1 });
    expect(JSON.parse(other.stdout)).toMatchObject({ findings: [{ code: 'attestation-not-of-vendor' }] });
  });

  test('of other keys than those in the device are found', async () => {
    const site = await newSite();
    await initialised(site, '--way', 'plain', '--kind', 'ecp256');
    const [user, host, device] = parseCertificates(await readFile(site.path('hsm-attestation.pem'), 'utf8'));
    await writeFile(site.path('hsm-attestation.pem'), [host, user, device].join(''));
    const status = await hsm('status', ...site.words, '--json');
    expect(status).toMatchObject({ exitCode: 1 });
    expect(JSON.parse(status.stdout)).toMatchObject({ findings: [{ code: 'attestation-wrong' }] });
  });

  test('cannot be made of Ed25519 keys, and the set-up goes on', async () => {
    const site = await newSite();
    await initialised(site, '--way', 'plain');
    await expect(stat(site.path('hsm-attestation.pem'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect((await hsm('status', ...site.words)).stdout).toContain('nothing is attested');
  });
});

test('root is forbidden in a template unless that is asked for, with a warning', async () => {
  const site = await newSite();
  const outcome = await hsm(...initWords(site, '--no-forbid-root', '--forbid-principal', 'toor'));
  expect(outcome.exitCode).toBe(0);
  expect(outcome.stderr).toMatch(/^Warning: the device will sign user certificates for root/);
  const done = JSON.parse(outcome.stdout) as Done;
  await using signers = await openYubiHsmSigners(settingsOf(done.config), { directory: site.directory });
  await certify(signers.user, { principals: ['root'] });
  await expect(certify(signers.user, { principals: ['toor'] })).rejects.toMatchObject({ code: 'signer-refused' });
  const status = await hsm('status', ...site.words, '--json');
  expect(JSON.parse(status.stdout)).toMatchObject({ findings: [{ code: 'root-not-forbidden' }] });
});

describe('what goes wrong', () => {
  test('a wrong administrator password is said', async () => {
    const site = await newSite();
    await initialised(site, '--way', 'plain');
    await writeFile(site.path('wrong'), 'wrong\n');
    const words = ['backup', site.path('second.json'), ...site.words, '--from', site.path('backup.json')];
    const outcome = await hsm(...words, '--administrator-password-file', site.path('wrong'), ...shares(site, 1, 2));
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain('wrong password');
  });

  test('too few shares, and a mistyped one, are said before the device is touched', async () => {
    const site = await newSite();
    await initialised(site, '--way', 'plain');
    const words = ['backup', site.path('second.json'), ...site.words, '--from', site.path('backup.json')];
    const few = await hsm(...words, ...administrator(site), ...shares(site, 1));
    expect(few.stderr).toContain('2 shares are needed');
    const text = await readFile(site.path('share-2'), 'utf8');
    await writeFile(
      site.path('share-2'),
      text.replace(/(?<=:).(?=[\w-]{30})/, (first) => (first === 'A' ? 'B' : 'A')),
    );
    const mistyped = await hsm(...words, ...administrator(site), ...shares(site, 1, 2));
    expect(mistyped.stderr).toContain('typing mistake');
  });

  test('a backup that was changed is refused by the device', async () => {
    const site = await newSite();
    await initialised(site, '--way', 'plain');
    const backup = JSON.parse(await readFile(site.path('backup.json'), 'utf8')) as { keys: { wrapped: string }[] };
    const bytes = Buffer.from(backup.keys[0]!.wrapped, 'base64');
    bytes[30]! ^= 1;
    backup.keys[0]!.wrapped = bytes.toString('base64');
    await writeFile(site.path('changed.json'), JSON.stringify(backup));
    const second = await newSite(site.directory);
    const words = [
      'restore',
      site.path('changed.json'),
      ...second.words,
      ...administrator(site),
      ...shares(site, 1, 2),
    ];
    const outcome = await hsm(...words);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain('IMPORT WRAPPED');
  });

  test('a device that is not there is said', async () => {
    const site = await newSite();
    await site.bench.simulator.stopConnector();
    const outcome = await hsm(...initWords(site, '--way', 'plain'));
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain('is it running?');
    await site.bench.simulator.startConnector();
  });

  test('status of a device as it left the factory is dangerous', async () => {
    const site = await newSite();
    await writeFile(site.path('factory'), 'password\n');
    const words = ['--auth-key', '1', '--password-file', site.path('factory'), '--json'];
    const outcome = await hsm('status', ...site.words, ...words);
    expect(outcome.exitCode).toBe(1);
    const { findings } = JSON.parse(outcome.stdout) as { findings: { code: string }[] };
    expect(findings.map(({ code }) => code)).toEqual([
      'factory-password',
      'signer-does-more',
      'signer-delegates',
      'audit-not-forced',
      'signatures-not-audited',
    ]);
  });
});
