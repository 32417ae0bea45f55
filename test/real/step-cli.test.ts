/** The public `step` CLI, unmodified, against `countersign-ca serve`: certificates by token, renew, rekey, revoke (docs/ca.md, docs/lineage.md). */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCertificateFile } from '#agent/host/certificate-file.ts';
import { caLayout } from '#ca-lite/directory/layout.ts';
import { type RunningCa, makeCa } from '#test/support/ca.ts';
import { requireStepCli } from '#test/support/step-cli.ts';

const stack = new AsyncDisposableStack();
let ca: RunningCa;
let step: string;
let directory: string;

beforeAll(async () => {
  step = await requireStepCli();
  directory = await mkdtemp(join(tmpdir(), 'countersign-step-'));
  stack.defer(async () => rm(directory, { recursive: true, force: true }));
  const settings = [{ renewal: { users_for: '5d' } }];
  ca = stack.use(await (await makeCa({ within: directory, settings, quick: true })).serve());
}, 16 * 60_000);
afterAll(async () => stack.disposeAsync());

const at = (name: string): string => join(directory, name);

/** `step ssh …`, which finds nothing at home. */
async function run(command: string, ...args: readonly string[]) {
  const places = ['--ca-url', ca.url, '--root', caLayout(ca.ca.directory).rootCertificate];
  const env = { HOME: at('home'), STEPPATH: at('home/.step'), PATH: process.env['PATH'] ?? '' };
  const options = { env, extendEnv: false, reject: false, stdin: 'ignore', timeout: 100_000 } as const;
  return execa(step, ['ssh', command, ...places, ...args], options);
}

async function succeed(command: string, ...args: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await run(command, ...args);
  expect(exitCode, stderr).toBe(0);
}

async function certificateOf(name: string) {
  const certificate = await readCertificateFile(at(`${name}-cert.pub`));
  if (certificate === undefined) throw new Error(`no certificate of ${name}`);
  return certificate;
}

/** A host key, certified by an administrator's token. */
async function certifiedHost(name: string) {
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)]);
  const token = await ca.ca.token('--host', name);
  await succeed('certificate', '--host', '--sign', '--token', token, name, at(`${name}.pub`));
  return certificateOf(name);
}

test('a token becomes a host certificate, which renews and is the successor on record', async () => {
  const name = 'web1.lab.example';
  const first = await certifiedHost(name);
  expect(first).toMatchObject({ type: 'host', principals: [name] });
  await succeed('renew', at(`${name}-cert.pub`), at(name), '--force');
  const renewed = await certificateOf(name);
  expect(renewed.serial).not.toBe(first.serial);
  expect(renewed.key).toEqual(first.key);
  await using store = await ca.ca.openStore();
  expect(await store.certificate(renewed.serial)).toMatchObject({ predecessor: first.serial, provisioner: 'sshpop' });
});

test('a certificate goes on with another key', async () => {
  const name = 'web2.lab.example';
  const first = await certifiedHost(name);
  await succeed('rekey', at(`${name}-cert.pub`), at(name), '--no-password', '--insecure', '--force');
  const rekeyed = await certificateOf(name);
  expect(rekeyed.key).not.toEqual(first.key);
  expect(rekeyed).toMatchObject({ keyId: name, principals: [name] });
  const { stdout } = await execa('ssh-keygen', ['-y', '-f', at(name)]);
  expect((await readFile(at(`${name}.pub`), 'utf8')).split(' ')[1]).toBe(stdout.split(' ')[1]);
  await succeed('renew', at(`${name}-cert.pub`), at(name), '--force');
});

test('a certificate revokes itself, and renews no more', async () => {
  const name = 'web3.lab.example';
  await certifiedHost(name);
  const own = ['--sshpop-cert', at(`${name}-cert.pub`), '--sshpop-key', at(name)];
  await succeed('revoke', ...own);
  const refused = await run('renew', at(`${name}-cert.pub`), at(name), '--force');
  expect(refused.exitCode).not.toBe(0);
  expect(refused.stderr).toContain('revoked');
  expect(JSON.parse(await ca.ca.run('audit', '--json', '--limit', '50'))).toContainEqual(
    expect.objectContaining({ action: 'certificate-revoke', outcome: 'allowed' }),
  );
});

test('a token becomes a user certificate, which renews by its key where policy lets it', async () => {
  const token = await ca.ca.token('--user', 'alice');
  await succeed('certificate', '--token', token, '--no-password', '--insecure', 'alice', at('id_alice'));
  const first = await certificateOf('id_alice');
  expect(first).toMatchObject({ type: 'user', principals: ['alice'] });
  await succeed('renew', at('id_alice-cert.pub'), at('id_alice'), '--force');
  const renewed = await certificateOf('id_alice');
  expect(renewed.serial).not.toBe(first.serial);
  expect(renewed).toMatchObject({ type: 'user', principals: ['alice'], keyId: first.keyId });
});
