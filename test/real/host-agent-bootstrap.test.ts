/** `countersign bootstrap` against a CA over real TLS: what is trusted, and what is refused. */
import { mkdtemp, readFile, rm, stat, writeFile, chmod, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeCa, startFakeCa } from '#test/support/fake-ca.ts';
import { freePort } from '#test/support/free-port.ts';
import { type AgentResult, runAgent } from './host-agent-fixture.ts';

let scratch: string;
let ca: FakeCa;
let counter = 0;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'countersign-bootstrap-'));
  ca = await startFakeCa();
});

afterAll(async () => {
  await ca[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true });
});

function newState(): string {
  counter += 1;
  return join(scratch, `state-${counter}`);
}

async function bootstrap(state: string, url: string, fingerprint: string, ...more: string[]): Promise<AgentResult> {
  return runAgent(['bootstrap', '--ca', url, '--fingerprint', fingerprint, '--state-dir', state, ...more]);
}

async function expectNothingStored(state: string): Promise<void> {
  await expect(readFile(join(state, 'authority.json'))).rejects.toMatchObject({ code: 'ENOENT' });
}

describe('bootstrap', () => {
  test('pins root and SSH keys for the owner alone', async () => {
    const state = newState();
    const { status, stdout } = await bootstrap(state, ca.url, ca.fingerprint, '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ url: ca.url, rootFingerprint: ca.fingerprint });
    const file = join(state, 'authority.json');
    expect([(await stat(state)).mode & 0o777, (await stat(file)).mode & 0o777]).toEqual([0o700, 0o600]);
    const authority = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    expect(authority['rootCertificate']).toBe(ca.rootPem.endsWith('\n') ? ca.rootPem : `${ca.rootPem}\n`);
    expect(authority['hostCaKeys']).toHaveLength(1);
    expect(authority['userCaKeys']).toHaveLength(1);
  });

  test('takes the fingerprint as openssl writes it', async () => {
    const colons = (ca.fingerprint.toUpperCase().match(/../g) ?? []).join(':');
    expect((await bootstrap(newState(), ca.url, colons)).status).toBe(0);
  });

  test('refuses a root with another fingerprint, and stores nothing', async () => {
    const state = newState();
    const result = await bootstrap(state, ca.url, 'ab'.repeat(32));
    expect(result).toMatchObject({ status: 1, code: 'root-fingerprint-mismatch', stdout: '' });
    await expectNothingStored(state);
  });

  test('refuses a server that shows the right root without having its key', async () => {
    await using impostor = await startFakeCa({ behaviour: { rootPem: ca.rootPem } });
    const state = newState();
    const result = await bootstrap(state, impostor.url, ca.fingerprint);
    expect(result).toMatchObject({ status: 1, code: 'ca-untrusted' });
    await expectNothingStored(state);
  });

  test('refuses a server whose certificate is for another name', async () => {
    await using other = await startFakeCa({ serverNames: ['ca.example.internal'] });
    expect(await bootstrap(newState(), other.url, other.fingerprint)).toMatchObject({
      status: 1,
      code: 'ca-untrusted',
    });
  });

  test('refuses a CA that uses one key for hosts and users', async () => {
    await using careless = await startFakeCa({ behaviour: { userCa: 'same-as-host' } });
    const result = await bootstrap(newState(), careless.url, careless.fingerprint);
    expect(result).toMatchObject({ status: 1, code: 'ca-keys-unusable' });
  });

  test('replaces another CA only with --force', async () => {
    await using other = await startFakeCa();
    const state = newState();
    expect((await bootstrap(state, ca.url, ca.fingerprint)).status).toBe(0);
    const before = await readFile(join(state, 'authority.json'), 'utf8');
    const refused = await bootstrap(state, other.url, other.fingerprint);
    expect(refused).toMatchObject({ status: 1, code: 'different-authority' });
    expect(await readFile(join(state, 'authority.json'), 'utf8')).toBe(before);
    expect((await bootstrap(state, other.url, other.fingerprint, '--force')).status).toBe(0);
    expect(await readFile(join(state, 'authority.json'), 'utf8')).toContain(other.fingerprint);
  });

  test('runs again for the same CA', async () => {
    const state = newState();
    expect((await bootstrap(state, ca.url, ca.fingerprint)).status).toBe(0);
    expect((await bootstrap(state, ca.url, ca.fingerprint)).status).toBe(0);
  });

  test('says that nothing listens', async () => {
    const result = await bootstrap(newState(), `https://127.0.0.1:${await freePort()}`, ca.fingerprint);
    expect(result).toMatchObject({ status: 1, code: 'ca-unreachable' });
  });

  test('waits as long as a busy CA asks for, and gives up where that is too long', async () => {
    ca.behaviour.busy = { times: 1, status: 429, retryAfter: '1' };
    const patient = await bootstrap(newState(), ca.url, ca.fingerprint);
    expect(patient).toMatchObject({ status: 0, stderr: expect.stringContaining('wait 1 s') as string });
    ca.behaviour.busy = { times: 1, status: 503, retryAfter: '3600' };
    expect(await bootstrap(newState(), ca.url, ca.fingerprint)).toMatchObject({ status: 1, code: 'ca-refused' });
    delete ca.behaviour.busy;
  });

  test('does not trust a state directory that others may write to', async () => {
    const state = newState();
    await mkdir(state);
    await chmod(state, 0o777);
    expect(await bootstrap(state, ca.url, ca.fingerprint)).toMatchObject({ status: 1, code: 'state-not-private' });
  });

  test('stops at a damaged file, and replaces it with --force', async () => {
    const state = newState();
    expect((await bootstrap(state, ca.url, ca.fingerprint)).status).toBe(0);
    await writeFile(join(state, 'authority.json'), '{"version":1');
    expect(await bootstrap(state, ca.url, ca.fingerprint)).toMatchObject({ status: 1, code: 'state-damaged' });
    expect((await bootstrap(state, ca.url, ca.fingerprint, '--force')).status).toBe(0);
  });

  test.each([
    ['http://127.0.0.1:1', 'ca-url-invalid'],
    ['https://user@127.0.0.1:1', 'ca-url-invalid'],
    ['https://127.0.0.1:1/ca', 'ca-url-invalid'],
  ])('refuses the address %s', async (url, code) => {
    expect(await bootstrap(newState(), url, ca.fingerprint)).toMatchObject({ status: 1, code });
  });

  test('ends with status 2 on wrong usage', async () => {
    expect(await runAgent(['bootstrap', '--ca', ca.url])).toMatchObject({ status: 2, stdout: '' });
    expect((await runAgent(['bootstrap', '--what'])).status).toBe(2);
    expect((await runAgent(['host', 'enroll', '--port', '70000'])).status).toBe(2);
  });
});
