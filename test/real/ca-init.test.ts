/** `countersign-ca init`, as a program: what it makes, judged by openssl and ssh-keygen, and what it refuses to touch. */
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { caLayout, secretNames } from '#ca-lite/directory/layout.ts';
import { makeBuildingPlace } from '#ca-lite/init/building-place.ts';
import { type Finished, PASSPHRASE } from '#test/support/ca.ts';
import { startProcess } from '#test/support/lab-process.ts';
import { caProgram } from '#test/support/programs.ts';

let scratch: string;
let passphraseFile: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'countersign-init-'));
  passphraseFile = join(scratch, 'passphrase');
  await writeFile(passphraseFile, `${PASSPHRASE}\n`);
});
afterAll(async () => rm(scratch, { recursive: true, force: true }));

const needed = ['--name', 'Example', '--dns', 'ca.example.internal'];

function commandLine(directory: string, options: readonly string[]): string[] {
  return [...caProgram(), 'init', '--dir', directory, '--passphrase-file', passphraseFile, ...options];
}

async function init(directory: string, options: readonly string[] = needed): Promise<Finished> {
  const [file = '', ...args] = commandLine(directory, options);
  return execa(file, args, { reject: false, stdin: 'ignore', timeout: 120_000 });
}

/** Every file below a directory and a digest of what is in it. */
async function contentOf(directory: string): Promise<Record<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const digests = files.map(async (file) => [
    file,
    createHash('sha256')
      .update(await readFile(file))
      .digest('hex'),
  ]);
  return Object.fromEntries(await Promise.all(digests)) as Record<string, string>;
}

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

describe('a new CA', () => {
  let directory: string;
  let created: { rootFingerprint: string; hostCa: string; userCa: string; directory: string };

  beforeAll(async () => {
    directory = join(scratch, 'new');
    const { exitCode, stdout, stderr } = await init(directory, [...needed, '--dns', '192.0.2.10', '--json']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    created = JSON.parse(stdout) as typeof created;
  });

  test('is for its owner alone, and its keys are encrypted', async () => {
    const layout = caLayout(directory);
    for (const path of [directory, layout.secrets, layout.certificates]) expect(await modeOf(path)).toBe('700');
    expect(await readdir(layout.secrets)).toEqual(secretNames.map((name) => `${name}.key`).toSorted());
    for (const name of secretNames) {
      const file = layout.secret(name);
      expect(await modeOf(file)).toBe('600');
      const open = async (passphrase: string) =>
        execa('ssh-keygen', ['-y', '-P', passphrase, '-f', file], { reject: false, stdin: 'ignore' });
      expect((await open(PASSPHRASE)).exitCode).toBe(0);
      expect((await open('')).exitCode).not.toBe(0);
    }
  });

  test('prints the fingerprint that openssl computes, and the keys that are on disk', async () => {
    const layout = caLayout(directory);
    const { stdout } = await execa('openssl', [
      'x509',
      '-in',
      layout.rootCertificate,
      '-noout',
      '-fingerprint',
      '-sha256',
    ]);
    expect(stdout.replace(/^.*=/, '').replaceAll(':', '').toLowerCase()).toBe(created.rootFingerprint);
    for (const [file, line] of [
      [layout.hostCaPublicKey, created.hostCa],
      [layout.userCaPublicKey, created.userCa],
    ] as const) {
      expect((await readFile(file, 'utf8')).trim()).toBe(line);
      expect((await execa('ssh-keygen', ['-l', '-f', file])).stdout).toContain('ED25519');
    }
    expect(created.hostCa).not.toBe(created.userCa);
  });

  test('has a chain that openssl accepts for its names, and a configuration without faults', async () => {
    const { rootCertificate, intermediateCertificate, serverCertificate } = caLayout(directory);
    for (const name of [
      ['-verify_hostname', 'ca.example.internal'],
      ['-verify_ip', '192.0.2.10'],
    ]) {
      const trust = ['-CAfile', rootCertificate, '-untrusted', intermediateCertificate, '-purpose', 'sslserver'];
      const { stdout } = await execa('openssl', ['verify', ...trust, ...name, serverCertificate]);
      expect(stdout).toContain('OK');
    }
    const [file, ...args] = caProgram();
    const check = await execa(file, [...args, 'check-config', '--dir', directory], { stdin: 'ignore' });
    expect(check.exitCode).toBe(0);
  });

  test('is never overwritten', async () => {
    const before = await contentOf(directory);
    const { exitCode, stderr } = await init(directory);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('never overwrites');
    expect(await contentOf(directory)).toEqual(before);
  });
});

test('keys and a root that exist already are taken, and the key of the root is not kept', async () => {
  const file = (name: string) => join(scratch, name);
  await execa('ssh-keygen', ['-q', '-t', 'ecdsa', '-b', '384', '-N', PASSPHRASE, '-C', '', '-f', file('host')]);
  await execa('ssh-keygen', ['-q', '-t', 'rsa', '-b', '3072', '-N', '', '-m', 'PEM', '-C', '', '-f', file('user')]);
  const request = [
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=Own',
    '-days',
    '30',
  ];
  await execa('openssl', ['req', ...request, '-keyout', file('root.key'), '-out', file('root.crt')]);
  const own = [
    '--root',
    file('root.crt'),
    '--key',
    file('root.key'),
    '--ssh-host-key',
    file('host'),
    '--ssh-user-key',
    file('user'),
  ];
  const directory = join(scratch, 'brought');
  await mkdir(directory); // empty is as good as missing
  expect(await init(directory, [...needed, ...own])).toMatchObject({ exitCode: 0 });

  const layout = caLayout(directory);
  expect(await readFile(layout.rootCertificate, 'utf8')).toBe(await readFile(file('root.crt'), 'utf8'));
  expect(await readdir(layout.secrets)).not.toContain('root.key');
  const keyIn = async (path: string) => (await readFile(path, 'utf8')).split(' ').slice(0, 2).join(' ').trim();
  expect(await keyIn(layout.hostCaPublicKey)).toBe(await keyIn(file('host.pub')));
  expect(await keyIn(layout.userCaPublicKey)).toBe(await keyIn(file('user.pub')));
  const chain = ['-CAfile', layout.rootCertificate, '-untrusted', layout.intermediateCertificate];
  expect((await execa('openssl', ['verify', ...chain, layout.serverCertificate])).stdout).toContain('OK');
});

describe('refuses, and leaves nothing behind', () => {
  beforeAll(async () => {
    await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(scratch, 'one')]);
    await execa('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', join(scratch, 'small')]);
    await writeFile(join(scratch, 'nothing'), '');
  });

  const own = (name: string) => join(scratch, name);
  test.each([
    ['a name that is none', () => ['--dns', 'not a name'], 1, /dns_names/],
    [
      'several faults at once',
      () => ['--dns', '-x-', '--allow-name', '*', '--allow-address', '10.0.0.1/8'],
      1,
      /dns_names.*names.*addresses/s,
    ],
    ['one key for hosts and users', () => ['--ssh-host-key', own('one'), '--ssh-user-key', own('one')], 1, /same/],
    ['an RSA key of 2048 bits', () => ['--ssh-host-key', own('small')], 1, /3072/],
    ['a file that is no key', () => ['--ssh-host-key', own('nothing')], 1, /cannot be used as a CA key/],
    ['a root without its key', () => ['--root', own('nothing')], 1, /belong together/],
    ['an address without a port', () => ['--address', '10.0.0.1'], 1, /--address/],
    ['an unknown type of key', () => ['--key-type', 'dsa'], 2, /key-type/],
    ['an unknown option', () => ['--force'], 2, /unknown option/],
  ])('%s', async (_what, options, status, words) => {
    const directory = join(scratch, 'refused');
    const before = await readdir(scratch);
    const { exitCode, stderr } = await init(directory, [...needed, ...options()]);
    expect({ exitCode, stderr }).toEqual({ exitCode: status, stderr: expect.stringMatching(words) as string });
    expect(stderr).not.toMatch(/\n {4}at /); // no stack trace: it was foreseen
    expect(await readdir(scratch)).toEqual(before);
  });

  test('an empty passphrase, and none', async () => {
    await writeFile(join(scratch, 'blank'), '\n');
    for (const [option, words] of [
      [['--passphrase-file', join(scratch, 'blank')], /empty/],
      [[], /no terminal/],
    ] as const) {
      const [file, ...args] = caProgram();
      const argv = [...args, 'init', '--dir', join(scratch, 'refused'), ...needed, ...option];
      const { exitCode, stderr } = await execa(file, argv, { reject: false, stdin: 'ignore' });
      expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringMatching(words) as string });
    }
    expect(await readdir(scratch)).not.toContain('refused');
  });

  test('a directory with anything in it, and a file', async () => {
    const occupied = join(scratch, 'occupied');
    await mkdir(occupied);
    await writeFile(join(occupied, '.hidden'), '');
    expect(await init(occupied)).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/not empty/) as string });
    expect(await init(passphraseFile)).toMatchObject({ exitCode: 1 });
    expect(await readFile(passphraseFile, 'utf8')).toBe(`${PASSPHRASE}\n`);
  });

  test('a place that cannot be written', async () => {
    const locked = join(scratch, 'locked');
    await mkdir(locked);
    // Root may write anywhere but into what is no directory.
    const target = process.getuid?.() === 0 ? join('/proc', 'ca') : join(locked, 'ca');
    await chmod(locked, 0o500);
    expect(await init(target)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/cannot be made/) as string,
    });
  });
});

test('killed on its way, it leaves no CA that is half made, and can be run again', async () => {
  const directory = join(scratch, 'killed');
  const argv = commandLine(directory, needed);
  const isThere = async (start: string) => (await readdir(scratch)).some((name) => name.startsWith(start));
  while (!(await isThere('killed.'))) {
    await rm(directory, { recursive: true, force: true }); // the one before was through before it was killed
    await using running = startProcess(argv);
    while (running.ending === undefined && !(await isThere('killed.'))) await sleep(5);
    running.signal('SIGKILL');
    await running.ended;
  }
  expect(await readdir(scratch)).not.toContain('killed');
  expect(await init(directory)).toMatchObject({ exitCode: 0 });
});

test('removes what a killed one left, and nothing that may be alive or is somebody else’s', async () => {
  const parent = await mkdtemp(join(scratch, 'leftovers-'));
  const target = join(parent, 'ca');
  const [dead, unlocked, other] = ['ca.000000000001.init', 'ca.000000000002.init', 'cafe.000000000003.init'];
  for (const name of [dead, unlocked, other]) await mkdir(join(parent, name, 'secrets'), { recursive: true });
  for (const name of [dead, other]) await writeFile(join(parent, name, 'init-lock'), '');
  await using alive = await makeBuildingPlace(target);
  const { exitCode, stderr } = await init(target);
  expect(exitCode, stderr).toBe(0);
  expect(stderr).toContain(`${join(parent, dead)} was removed`);
  expect(stderr).toContain(`rm -r -- '${join(parent, unlocked)}'`);
  expect((await readdir(parent)).toSorted()).toEqual(['ca', unlocked, basename(alive.path), other].toSorted());
  expect(await readdir(target)).not.toContain('init-lock');
});
