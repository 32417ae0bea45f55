/** What `countersign host renew` makes of a revocation, of a restored backup, and of keys that it does not hold itself. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readRenewalRecord } from '#agent/host/renewal/renewal-record.ts';
import { runAgent } from './host-agent-fixture.ts';
import { type RenewalHost, serialOf, startRenewalHost } from './host-renewal-fixture.ts';

async function pauseOf({ stateDirectory }: RenewalHost) {
  const [memory] = (await readRenewalRecord(stateDirectory)).values();
  const seconds = (memory?.pausedUntil ?? 0) - Math.floor(Date.now() / 1000);
  return { refusal: memory?.refusal, hours: Math.round(seconds / 3600) };
}

test('keys that a HostKeyAgent holds renew too', async () => {
  await using host = await startRenewalHost({ keys: ['ed25519', 'ecdsa'], hostKeyAgent: true });
  const before = await host.served();
  const { status, stderr } = await host.host('renew', '--force');
  expect(status, stderr).toBe(0);
  const after = await host.served();
  expect(after.every((one) => one !== undefined)).toBe(true);
  expect(new Set([...before, ...after].map(serialOf)).size).toBe(4);
});

test('a revoked host is told so, keeps what it has, and asks rarely from then on', async () => {
  await using host = await startRenewalHost();
  const before = await host.served();
  await host.ca.ca.run('revoke', '--host', host.name);
  const refused = await host.host('renew', '--force');
  expect(refused).toMatchObject({ status: 1, code: 'ca-refused' });
  expect(refused.stderr).toContain('renewal-revoked');
  expect(await host.served()).toEqual(before);
  const { refusal, hours } = await pauseOf(host);
  expect(refusal).toBe('renewal-revoked');
  expect(hours).toBeGreaterThanOrEqual(12);

  const status = await host.host('status', '--json');
  expect(status.status).toBe(1);
  expect(JSON.parse(status.stdout)).toMatchObject({
    clock: { judgement: 'system' },
    keys: [{ renewal: { isFailing: true, needsPerson: true, lastFailure: { code: 'renewal-revoked' } } }],
  });
  expect((await host.host('status')).stdout).toContain(`countersign-ca hosts clear ${host.name}`);
  const doctor = await runAgent(['doctor', '--json', ...host.places]);
  const findings = JSON.parse(doctor.stdout) as { check: string; level: string; advice?: string }[];
  expect(findings.find(({ check }) => check === 'renewal')).toMatchObject({ level: 'fail' });
});

test('a restored backup is told at once that a newer certificate is in use, and asks again soon', async () => {
  await using host = await startRenewalHost();
  const stored = join(host.stateDirectory, 'host');
  const { etc } = host.sshd;
  const backup = join(host.lab.directory, 'backup');
  await cp(stored, join(backup, 'host'), { recursive: true });
  await cp(etc, join(backup, 'etc'), { recursive: true });
  expect((await host.host('renew', '--force')).status).toBe(0);
  const { lineage } = await host.inventory();
  await cp(join(backup, 'host'), stored, { recursive: true, force: true });
  await cp(join(backup, 'etc'), etc, { recursive: true, force: true });
  const refused = await host.host('renew', '--force');
  expect(refused).toMatchObject({ status: 1, code: 'ca-refused' });
  expect(await pauseOf(host)).toEqual({ refusal: 'not-lineage-head', hours: 0 });
  expect((await host.inventory()).lineage).toEqual(lineage);
});
