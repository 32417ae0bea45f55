/** `init` with what an operator brings: an X.509 root, a PKI that signs a request, SSH CA keys. Made and judged by openssl and ssh-keygen. */
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ExecaError, execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caProgram } from '#test/support/programs.ts';

let directory: string;
const file = (name: string): string => join(directory, name);

interface Outcome {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

async function ca(...args: string[]): Promise<Outcome> {
  const [program, ...before] = caProgram();
  const { exitCode, stdout, stderr } = await execa(program, [...before, ...args], { reject: false, stdin: 'ignore' });
  return { exitCode, stdout, stderr };
}

async function init(name: string, ...args: string[]): Promise<Outcome> {
  const common = ['--name', 'Example', '--dns', 'ca.example.com', '--passphrase-file', file('passphrase'), '--json'];
  return ca('init', '--dir', file(name), ...common, ...args);
}

async function openssl(...args: string[]): Promise<string> {
  return (await execa('openssl', args, { cwd: directory })).stdout;
}

async function verifies(root: string, name: string): Promise<boolean> {
  const certs = join(directory, name, 'certs');
  const result = await execa(
    'openssl',
    ['verify', '-CAfile', root, '-untrusted', join(certs, 'intermediate_ca.crt'), join(certs, 'server.crt')],
    { reject: false },
  );
  return result.exitCode === 0;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'countersign-init-'));
  await writeFile(file('passphrase'), 'correct horse\n', { mode: 0o600 });
  const subject = ['-nodes', '-days', '30', '-subj', '/CN=Corporate Root'];
  await openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-keyout',
    'root.key',
    '-out',
    'root.crt',
    ...subject,
  );
  await openssl('req', '-x509', '-newkey', 'rsa:2048', '-keyout', 'rsa.key', '-out', 'rsa.crt', ...subject);
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('init with a root of the operator', () => {
  it('has the root sign the intermediate, and does not keep its key', async () => {
    expect(await init('own-root', '--root', file('root.crt'), '--key', file('root.key'))).toMatchObject({
      exitCode: 0,
    });
    expect(await verifies(file('root.crt'), 'own-root')).toBe(true);
    expect(await readdir(join(directory, 'own-root', 'secrets'))).not.toContain('root.key');
  });

  it.each([
    ['a key of another certificate', ['root.crt', 'rsa.key']],
    ['an RSA root', ['rsa.crt', 'rsa.key']],
    ['no certificate', ['root.key', 'root.key']],
    ['a missing file', ['none.crt', 'root.key']],
  ])('refuses %s and leaves nothing behind', async (_what, [root = '', key = '']) => {
    const before = await readdir(directory);
    const outcome = await init('refused', '--root', file(root), '--key', file(key));
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toMatch(/^countersign-ca: \S/);
    expect(await readdir(directory)).toEqual(before);
  });
});

describe('init with a request', () => {
  it('serves only after the signed intermediate was imported, and imports only the right one', async () => {
    expect(await init('request', '--csr')).toMatchObject({ exitCode: 0 });
    const common = ['--dir', file('request'), '--passphrase-file', file('passphrase')];
    expect((await ca('serve', ...common, '--address', '127.0.0.1:0')).exitCode).toBe(1);
    const request = join(directory, 'request', 'certs', 'intermediate_ca.csr');
    await openssl(
      'x509',
      '-req',
      '-in',
      request,
      '-CA',
      'rsa.crt',
      '-CAkey',
      'rsa.key',
      '-days',
      '20',
      '-copy_extensions',
      'copyall',
      '-out',
      'signed.crt',
    );
    expect((await ca('import-intermediate', ...common, '--root', file('rsa.crt'), file('rsa.crt'))).exitCode).toBe(1);
    expect((await ca('import-intermediate', ...common, '--root', file('root.crt'), file('signed.crt'))).exitCode).toBe(
      1,
    );
    expect(await readdir(join(directory, 'request', 'certs'))).not.toContain('root_ca.crt');
    expect(await ca('import-intermediate', ...common, '--root', file('rsa.crt'), file('signed.crt'))).toMatchObject({
      exitCode: 0,
    });
    const [again, certs] = [
      await ca('import-intermediate', ...common, '--root', file('rsa.crt'), file('signed.crt')),
      join(directory, 'request', 'certs'),
    ];
    expect(again.exitCode).toBe(1);
    expect(await readFile(join(certs, 'root_ca.crt'), 'utf8')).toBe(await readFile(file('rsa.crt'), 'utf8'));
  });
});

describe('init with SSH CA keys of the operator', () => {
  it('takes keys in the formats of ssh-keygen and openssl', async () => {
    await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'correct horse', '-f', file('host_ca')]);
    await openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072', '-out', 'user_ca.pem');
    expect(
      await init('own-keys', '--ssh-host-key', file('host_ca'), '--ssh-user-key', file('user_ca.pem')),
    ).toMatchObject({ exitCode: 0 });
    const [type, base64] = (await readFile(file('host_ca.pub'), 'utf8')).split(' ');
    expect(await readFile(join(directory, 'own-keys', 'certs', 'ssh_host_ca.pub'), 'utf8')).toContain(
      `${type} ${base64}`,
    );
    expect(await readFile(join(directory, 'own-keys', 'certs', 'ssh_user_ca.pub'), 'utf8')).toMatch(/^ssh-rsa /);
    const stored = await execa('ssh-keygen', [
      '-y',
      '-P',
      'correct horse',
      '-f',
      join(directory, 'own-keys', 'secrets', 'ssh_host_ca.key'),
    ]);
    expect(stored.stdout).toContain(base64);
  });

  it('refuses one key for hosts and users, a small RSA key, and a key with another passphrase', async () => {
    await openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', 'small.pem');
    await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'another one', '-f', file('locked')]);
    for (const keys of [
      [file('host_ca'), file('host_ca')],
      [file('small.pem'), file('host_ca')],
      [file('locked'), file('host_ca')],
    ]) {
      const [host = '', user = ''] = keys;
      const outcome = await init('refused-keys', '--ssh-host-key', host, '--ssh-user-key', user);
      expect(outcome.exitCode).toBe(1);
    }
    expect(await readdir(directory)).not.toContain('refused-keys');
  });

  it.each(['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-3072'])(
    'makes %s keys that ssh-keygen opens with the passphrase',
    async (type) => {
      expect(await init(type, '--key-type', type)).toMatchObject({ exitCode: 0 });
      const stored = join(directory, type, 'secrets', 'ssh_host_ca.key');
      const { stdout } = await execa('ssh-keygen', ['-y', '-P', 'correct horse', '-f', stored]);
      const [name, base64] = (await readFile(join(directory, type, 'certs', 'ssh_host_ca.pub'), 'utf8')).split(' ');
      expect(stdout).toContain(`${name} ${base64}`);
      await expect(execa('ssh-keygen', ['-y', '-P', 'wrong', '-f', stored])).rejects.toSatisfy(
        (error: ExecaError) => error.exitCode !== 0,
      );
    },
  );
});
