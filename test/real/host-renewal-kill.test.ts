/**
 * `countersign host renew` that is killed (SIGKILL) again and again at moments all over a run: between the reply of the CA and the disk,
 * between the disk and sshd, between sshd and the report. The host and the CA agree in the end, on one head and without an alarm.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openCaClient } from '#agent/ca/ca-client.ts';
import { openHost } from '#agent/host/host-context.ts';
import { readHostKeys } from '#agent/host/host-key.ts';
import { readIssued, storeIssued } from '#agent/host/issued-store.ts';
import { CaConversation, type Holding } from '#agent/host/renewal/ca-conversation.ts';
import { requireAuthority } from '#agent/state/authority.ts';
import type { Certificate } from '#openssh/certificate.ts';
import { startProcess } from '#test/support/lab-process.ts';
import { agentProgram } from '#test/support/programs.ts';
import { quickStart } from './host-agent-fixture.ts';
import { type RenewalHost, serialOf, startRenewalHost } from './host-renewal-fixture.ts';

const KILLS = 24;

/** @returns milliseconds that the run took, or undefined when it was killed */
async function renewFor({ places }: RenewalHost, killAfterMs: number): Promise<number | undefined> {
  const started = performance.now();
  const argv = [...agentProgram(), 'host', 'renew', '--force', ...places];
  await using run = startProcess(argv, { env: quickStart });
  await Promise.race([sleep(killAfterMs), run.ended]);
  run.signal('SIGKILL');
  const { signal, code } = await run.ended;
  expect(signal === 'SIGKILL' || code === 0, run.stderr()).toBe(true);
  return signal === 'SIGKILL' ? undefined : performance.now() - started;
}

/** Asks for the successor of what is served, and lets the answer go to nobody but the test. */
async function askForSuccessor({ sshd, stateDirectory }: RenewalHost): Promise<Holding & { successor: Certificate }> {
  const authority = await requireAuthority(stateDirectory);
  const { settings } = await openHost({ stateDirectory, sshdConfig: sshd.configPath });
  const [key] = (await readHostKeys(settings)).keys;
  const certificate = key === undefined ? undefined : await readIssued(stateDirectory, key.fingerprint);
  if (key === undefined || certificate === undefined) throw new Error('not enrolled');
  await using client = openCaClient({ url: authority.url, root: authority.rootCertificate });
  const successor = await new CaConversation(client, authority).renew({ key, certificate });
  return { key, certificate, successor };
}

test('a reply that was lost is given again', async () => {
  await using host = await startRenewalHost();
  const { certificate, successor } = await askForSuccessor(host);
  expect((await host.served()).map(serialOf)).toEqual([serialOf(certificate)]);
  const { status, stderr } = await host.host('renew', '--force');
  expect(status, stderr).toBe(0);
  expect((await host.served()).map(serialOf)).toEqual([serialOf(successor)]);
  expect((await host.inventory()).lineage).toMatchObject({ state: 'active', head: serialOf(successor) });
});

test('a certificate that was stored and not installed is installed by the next run, without force', async () => {
  await using host = await startRenewalHost();
  const { key, successor } = await askForSuccessor(host);
  await storeIssued(host.stateDirectory, key.fingerprint, successor);
  const { status, stderr, stdout } = await host.host('renew', '--json');
  expect(status, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ keys: [{ did: 'finished', reported: true }] });
  expect((await host.served()).map(serialOf)).toEqual([serialOf(successor)]);
  expect((await host.inventory()).report?.serial).toBe(serialOf(successor));
});

test('converges whenever it is killed', { timeout: 300_000 }, async () => {
  await using host = await startRenewalHost({ keys: ['ed25519'] });
  const [first] = await host.served();
  let whole = (await renewFor(host, 60_000)) ?? 0;
  expect(whole).toBeGreaterThan(0);
  let killed = 0;
  for (let at = 1; at <= KILLS; at += 1) {
    const took = await renewFor(host, (whole * (at + 4)) / (KILLS + 4));
    if (took === undefined) killed += 1;
    else whole = Math.min(whole, took); // the machine is faster than it was: kill earlier
    expect((await host.served())[0]?.principals).toEqual(first?.principals);
  }
  expect(killed).toBeGreaterThan(0);
  const last = await host.host('renew', '--force');
  expect(last.status, last.stderr).toBe(0);
  const [served] = await host.served();
  const { lineage, report } = await host.inventory();
  expect(lineage).toMatchObject({ state: 'active', head: serialOf(served) });
  expect(report?.serial).toBe(serialOf(served));
  const left = await readdir(host.sshd.etc);
  expect(left.filter((name) => name.startsWith('.'))).toEqual([]);
  const state = join(host.stateDirectory, 'host');
  const kept = ['following.json', 'host.json', 'issued', 'krl', 'renewal.json'];
  expect((await readdir(state)).toSorted()).toEqual(kept);
  expect(await readdir(join(state, 'issued'))).toHaveLength(1);
});
