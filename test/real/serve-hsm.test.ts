/** A CA whose keys are in a (simulated) YubiHSM, from `hsm init` to certificates that the device signed under its templates, and what it refuses. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeBase64 } from '#openssh/base64.ts';
import { type Certificate, decodeCertificate, verifyCertificateSignature } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { type RunningCa, type TestCa, makeCa } from '#test/support/ca.ts';
import { caProgram } from '#test/support/programs.ts';
import { type Bench, startBench } from './yubihsm-fixture.ts';

let directory: string;
let device: Bench;
let made: TestCa;
let ca: RunningCa;
let http: Agent;
let publicKey: string;
/** Fingerprints that `hsm init` printed. */
let keys: { user: string; host: string };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'countersign-serve-hsm-'));
  device = await startBench();
  const users = ['--allow-user', 'alice', '--allow-user', 'root'];
  made = await makeCa({ within: directory, quick: true, initOptions: [...users, '--allow-name', '*.example.com'] });
  await writeFile(join(directory, 'administrator'), 'administrator of the tests\n', { mode: 0o600 });
  const shares = [1, 2, 3].flatMap((number) => ['--share-file', join(directory, `share-${number}`)]);
  const [program, ...before] = caProgram();
  const where = ['--dir', made.directory, '--connector', device.simulator.url, '--backup', join(directory, 'backup')];
  const password = ['--administrator-password-file', join(directory, 'administrator')];
  const { stdout } = await execa(program, [...before, 'hsm', 'init', ...where, ...shares, ...password], {
    stdin: 'ignore',
  });
  keys = { user: /User CA:\s+(\S+)/.exec(stdout)?.[1] ?? '', host: /Host CA:\s+(\S+)/.exec(stdout)?.[1] ?? '' };
  await useSection(stdout);
  ca = await made.serve();
  http = new Agent({ connect: { ca: await made.rootPem(), servername: 'ca.lab.example' } });
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(directory, 'id')]);
  publicKey = (await readFile(join(directory, 'id.pub'), 'utf8')).split(' ')[1] ?? '';
}, 300_000);

afterAll(async () => {
  await http?.destroy();
  await ca?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** Puts the section that `hsm init` printed in the place of the one for files, and lifetimes that the templates allow. */
async function useSection(printed: string): Promise<void> {
  const section = printed.slice(printed.indexOf('[signer]'), printed.indexOf('ssh-rsa'));
  const path = join(made.directory, 'ca.toml');
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace(/\[signer\][^[]*/, `${section.trim()}\n\n`));
}

async function certify(...token: string[]): Promise<{ status: number; code?: string; certificate?: Certificate }> {
  const ott = await made.token(...token);
  const reply = await request(`${ca.url}/ssh/sign`, {
    method: 'POST',
    dispatcher: http,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ publicKey, ott }),
  });
  const json = (await reply.body.json()) as { crt?: string; code?: string };
  const outcome = json.code === undefined ? {} : { code: json.code };
  return json.crt === undefined
    ? { status: reply.statusCode, ...outcome }
    : { status: reply.statusCode, certificate: decodeCertificate(decodeBase64(json.crt)) };
}

describe('a CA with its keys in a YubiHSM', () => {
  it('issues user and host certificates that the device signed', async () => {
    for (const [type, token] of [
      ['user', ['--user', 'alice']],
      ['host', ['--host', 'web1.example.com']],
    ] as const) {
      const { certificate } = await certify(...token);
      if (certificate === undefined) throw new Error('no certificate');
      expect(certificate.type).toBe(type);
      expect(fingerprintOf(encodePublicKey(certificate.signatureKey))).toBe(keys[type]);
      expect(certificate.signature.algorithm).toBe('rsa-sha2-512');
      expect(verifyCertificateSignature(certificate)).toBe(true);
    }
  });

  it('gets no certificate for root out of the device, though its own policy would allow it', async () => {
    expect(await certify('--user', 'root')).toMatchObject({ status: 403, code: 'signer-refused' });
    const records = await made.json<{ state: string; principals: string[] }[]>('certs', '--principal', 'root');
    expect(records.map(({ state }) => state)).toEqual(['abandoned']);
  });

  it("keeps the device's audit log in its own, and the chain whole", async () => {
    const entries = await made.json<{ details: { entries: string[] } }[]>('audit', '--action', 'hsm-log');
    expect(entries.flatMap(({ details }) => details.entries).length).toBeGreaterThan(0);
    expect(await made.run('audit', '--verify')).toContain('whole');
  });
});
