/** `countersign doctor` on a host in order, and on one where something is wrong: it says what, and what to do. */
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Finding } from '#agent/host/doctor/finding.ts';
import { statementsOf } from '#test/support/statement-sample.ts';
import { type TestHost, runAgent, startHost } from './host-agent-fixture.ts';

let host: TestHost;

beforeEach(async () => {
  host = await startHost();
  host.ca.behaviour.statements = statementsOf(host.ca);
  expect((await host.enroll()).status).toBe(0);
});

afterEach(async () => host[Symbol.asyncDispose]());

async function examine(): Promise<{ status: number | undefined; findings: Finding[] }> {
  const { status, stdout } = await runAgent(['doctor', '--json', ...host.places]);
  return { status, findings: JSON.parse(stdout) as Finding[] };
}

async function expectFailure(check: string, words: string): Promise<void> {
  const { status, findings } = await examine();
  const failed = findings.filter(({ level }) => level === 'fail');
  expect({ status, checks: failed.map((finding) => finding.check) }).toEqual({ status: 1, checks: [check] });
  expect(failed[0]?.message).toContain(words);
  expect(failed[0]?.advice).toBeTruthy();
}

test('a host in order', async () => {
  const { status, findings } = await examine();
  expect(status).toBe(0);
  const ofSshd = ['sshd-config', 'host-keys', 'sshd-answers', 'user-ca', 'certificate', 'revocations'];
  expect(new Set(findings.filter(({ level }) => level === 'ok').map(({ check }) => check))).toEqual(
    new Set(['trust', 'ca', 'clock', 'ca-keys', 'follows-ca', ...ofSshd]),
  );
});

test('a revocation list that is damaged, which the next look makes good', async () => {
  await writeFile(join(host.sshd.etc, 'countersign_revoked_keys'), 'not a KRL');
  await expectFailure('revocations', 'refuses every key');
  expect((await host.host('status')).status).toBe(1);
  await host.host('renew');
  const { findings } = await examine();
  expect(findings.find(({ check }) => check === 'revocations')).toMatchObject({ level: 'ok' });
  expect((await host.host('status')).stdout).toContain('list 1 of ');
});

test('a CA that is gone', async () => {
  await host.ca.close();
  await expectFailure('ca', 'nothing listens there');
});

test('a certificate that is gone', async () => {
  await rm(join(host.sshd.etc, 'ssh_host_ed25519_key-cert.pub'));
  await expectFailure('certificate', 'missing');
});

test('a certificate that is not served', async () => {
  const dropIn = join(host.sshd.dropInDirectory, '50-countersign.conf');
  const text = await readFile(dropIn, 'utf8');
  await writeFile(dropIn, text.replaceAll(/^HostCertificate/gm, '#HostCertificate'));
  await host.sshd.reload();
  await expectFailure('certificate', 'not served');
});

test('a configuration that sshd would not start with', async () => {
  await writeFile(join(host.sshd.dropInDirectory, '99-wrong.conf'), 'Nonsense yes\n');
  await expectFailure('sshd', 'Nonsense');
});

test('an sshd that does not run', async () => {
  await host.sshd.stop();
  const { status, findings } = await examine();
  expect(status).toBe(1);
  expect(findings.filter(({ level }) => level === 'fail').map(({ check }) => check)).toEqual([
    'sshd-answers',
    'certificate',
  ]);
});

test('a user CA file that others may write to, and a host key that others may read', async () => {
  const trust = join(host.sshd.etc, 'countersign_user_ca.pub');
  await chmod(trust, 0o666);
  await expectFailure('user-ca', 'others may write');
  await chmod(trust, 0o644);
  const key = join(host.sshd.etc, 'ssh_host_ed25519_key');
  await chmod(key, 0o640);
  const { findings } = await examine();
  const failed = findings.filter(({ level }) => level === 'fail').map(({ check }) => check);
  expect(failed.includes('host-key-permissions') || failed.includes('sshd')).toBe(true); // sshd refuses such a key as root
});

test('a host that is not enrolled, and one without a CA', async () => {
  expect((await host.host('remove')).status).toBe(0);
  const { status, findings } = await examine();
  expect(status).toBe(0);
  expect(findings.find(({ check }) => check === 'certificate')).toMatchObject({ level: 'warn' });
  await rm(join(host.stateDirectory, 'authority.json'));
  await expectFailure('trust', 'no CA is trusted');
});
