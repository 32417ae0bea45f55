/**
 * Two machines with the same disk, each with its own sshd and `countersign host renew`, against `countersign-ca serve` (docs/lineage.md): found,
 * told to both, shown to the administrator, and ended in one action. The clock of the CA is moved on, since a copy is told from a late request by time.
 */
import { X509Certificate, hash } from 'node:crypto';
import { cp, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { servedCertificate } from '#test/support/across-reload.ts';
import { type RunningCa, makeCa } from '#test/support/ca.ts';
import { type Lab, openLab } from '#test/support/lab.ts';
import { caProgram } from '#test/support/programs.ts';
import { type TestSshd, startSshd } from '#test/support/sshd.ts';
import { runAgent } from './host-agent-fixture.ts';

const NAME = 'web1.lab.example';
const stack = new AsyncDisposableStack();
let lab: Lab;
let ca: RunningCa;

beforeAll(async () => {
  lab = stack.use(await openLab('loopback'));
  await setClock(0);
  // The sources: a preload is nothing that a single executable takes.
  const [node, main] = caProgram('sources');
  const preload = join(import.meta.dirname, '../simulator/devices/shifted-clock.ts');
  const program = ['env', `COUNTERSIGN_CLOCK_FILE=${clockFile()}`, node, '--import', preload, main ?? ''] as const;
  const initOptions = ['--allow-name', '**.lab.example', '--allow-address', lab.network];
  const made = await makeCa({ within: lab.directory, settings: [lab.caSettings], initOptions, program, quick: true });
  ca = stack.use(await made.serve());
});
afterAll(async () => stack.disposeAsync());

const clockFile = (): string => join(lab.directory, 'clock');

async function setClock(aheadSeconds: number): Promise<void> {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(aheadSeconds * 1000);
  await writeFile(clockFile(), bytes);
}

interface Machine {
  readonly sshd: TestSshd;
  readonly state: string;
  renew(): ReturnType<typeof runAgent>;
  served(): Promise<string>;
}

async function startMachine(label: string): Promise<Machine> {
  const { addresses } = await lab.addMachine(label);
  const sshd = stack.use(await startSshd({ addresses, port: lab.sshPort }));
  const state = join(lab.directory, `state-of-${label}`);
  return {
    sshd,
    state,
    renew: async () => runAgent(['host', 'renew', '--force', '--sshd-config', sshd.configPath, '--state-dir', state]),
    served: async () => String((await servedCertificate(sshd))?.certificate?.serial),
  };
}

/** Its disk, as of now: host key, certificate, settings of sshd, and what the agent keeps. Where one disk names its directory the other names its own. */
async function copyDisk(from: Machine, to: Machine): Promise<void> {
  await cp(from.state, to.state, { recursive: true });
  const isOwn = (path: string): boolean => path === from.sshd.configPath; // has the address to listen on
  await cp(from.sshd.etc, to.sshd.etc, { recursive: true, force: true, filter: (path) => !isOwn(path) });
  for (const place of [join(to.state, 'host'), to.sshd.dropInDirectory]) {
    for (const name of await readdir(place, { recursive: true })) {
      if (!/\.(json|conf)$/.test(name)) continue;
      const text = await readFile(join(place, name), 'utf8');
      await writeFile(join(place, name), text.replaceAll(from.sshd.directory, to.sshd.directory));
    }
  }
  await to.sshd.reload();
  const serial = await from.served();
  expect(await to.served()).toBe(serial);
}

async function lineageOfHost(): Promise<{ lineage: string; state: string; head: string }> {
  const [found] = await ca.ca.json<{ lineage: { lineage: string; state: string; head: string } }[]>('hosts');
  if (found === undefined) throw new Error('the CA knows no host');
  return found.lineage;
}

test(
  'a copied disk is found, both sides are told, and one action lets the host go on',
  { timeout: 300_000 },
  async () => {
    const host = await startMachine('web1');
    await lab.setZone({ [NAME]: [host.sshd.address] });
    const fingerprint = hash('sha256', new X509Certificate(await ca.ca.rootPem()).raw, 'hex');
    const trust = ['--ca', ca.url, '--fingerprint', fingerprint, '--state-dir', host.state];
    expect((await runAgent(['bootstrap', ...trust])).status).toBe(0);
    const places = ['--sshd-config', host.sshd.configPath, '--state-dir', host.state];
    const enrolled = await runAgent(['host', 'enroll', '--name', NAME, '--ip', host.sshd.address, ...places]);
    expect(enrolled.status, enrolled.stderr).toBe(0);
    const first = await host.served();

    const copy = await startMachine('copy');
    await copyDisk(host, copy);
    const renewed = await host.renew();
    expect(renewed.status, renewed.stderr).toBe(0);
    const second = await host.served();
    expect(second).not.toBe(first);

    await setClock(1200);
    const copied = await copy.renew();
    expect(copied.status, copied.stderr).toBe(1);
    expect(copied.stderr).toContain('lineage-quarantined');
    const told = await host.renew();
    expect(told.status).toBe(1);
    expect(told.stderr).toContain('lineage-quarantined');
    expect(await host.served()).toBe(second); // what it has serves on

    const { lineage, state } = await lineageOfHost();
    expect(state).toBe('quarantined');
    const shown = await ca.ca.run('lineage', lineage);
    for (const serial of [first, second]) expect(shown).toMatch(new RegExp(`^${serial}\\s+127\\.`, 'm'));
    await ca.ca.run('lineage', 'resolve', lineage, '--keep', second);
    const after = await host.renew();
    expect(after.status, after.stderr).toBe(0);
    expect(await host.served()).not.toBe(second);
    expect(await lineageOfHost()).toMatchObject({ lineage, state: 'active', head: await host.served() });
    expect((await copy.renew()).stderr).toContain('renewal-revoked');
  },
);
