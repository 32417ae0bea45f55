/**
 * A fleet of devices over many certificate lifetimes against `countersign-ca serve`, a process of its own: lost and doubled messages, power cuts
 * between every two steps, clocks that lie, a CA that is killed in the middle, and copied disks. The seed is printed; COUNTERSIGN_SEED replays
 * what devices, network and killer do, COUNTERSIGN_DEVICES and COUNTERSIGN_LIFETIMES make it larger (`npm run devices`).
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { encodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { findCertificateFault } from '#openssh/certificate-check.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePrivateKey } from '#openssh/private-key.ts';
import { type PublicKey, encodePublicKey, formatPublicKeyLine } from '#openssh/public-key.ts';
import { verifyStoredAudit } from '#ca-lite/audit/verify-store.ts';
import type { StoreReader } from '#ca-lite/store/store.ts';
import type { Device } from '../simulator/devices/device.ts';
import { Fleet } from '../simulator/devices/fleet.ts';
import { startSshd } from '../support/sshd.ts';

const number = (name: string, normal: number): number => Number(process.env[name] ?? normal);
const devices = number('COUNTERSIGN_DEVICES', 200);
const options = {
  seed: number('COUNTERSIGN_SEED', Math.floor(Math.random() * 2 ** 31)),
  devices,
  lifetimes: number('COUNTERSIGN_LIFETIMES', 20),
  copies: Math.max(6, Math.floor(devices / 50)),
  killOneIn: number('COUNTERSIGN_KILL_ONE_IN', 6),
};

test(
  `no device is stranded, no lineage has two heads, every copy is found and nothing else (seed ${options.seed})`,
  async () => {
    process.stdout.write(`devices: ${JSON.stringify(options)}\n`);
    const begun = performance.now();
    await using fleet = await Fleet.make(options);
    await fleet.run();
    await using store = await fleet.ca.openStore();
    const first = decodeCertificate(fleet.devices[0]?.disk.certificate ?? new Uint8Array());
    const trustedCas = new Set([fingerprintOf(encodePublicKey(first.signatureKey))]);
    for (const device of fleet.devices) {
      if (device.copied) await expectFound(device, store);
      else await expectWell(device, store, { now: fleet.ca.now, trustedCas });
    }
    const { items: quarantined } = await store.lineages({ state: 'quarantined' }, { limit: 1000 });
    const copies = fleet.devices.filter(({ copied }) => copied).length / 2;
    expect(copies).toBe(options.copies);
    expect(quarantined).toHaveLength(copies);
    const { host } = (await store.counts()).certificates;
    expect(host.intended).toBe(0n);
    expect(await verifyStoredAudit(store)).toMatchObject({ ok: true });
    const renewals = fleet.devices.reduce((sum, device) => sum + device.renewals, 0);
    const seconds = Math.round((performance.now() - begun) / 1000);
    process.stdout.write(
      `devices: ${renewals} renewals, ${fleet.requests} requests, ${host.issued} certificates, ${fleet.kills} kills of the CA, ` +
        `${fleet.lateAnswers.length} late requests, ${copies} copies found, ${seconds} s\n`,
    );
    // Two thirds of a lifetime before each renewal, and a device is often away.
    expect(renewals).toBeGreaterThan(options.devices * options.lifetimes);
    await judgeSample(fleet.devices.filter(({ copied }) => !copied).slice(-5), first.signatureKey);
  },
  options.devices > 200 ? 3_600_000 : 1_200_000,
);

const lineageOf = async (certificate: Uint8Array, store: StoreReader) => {
  const { serial } = decodeCertificate(certificate);
  const record = await store.certificate(serial);
  return { serial, lineage: record?.lineage ?? '', record: await store.lineage(record?.lineage ?? '') };
};

async function expectFound({ name, disk }: Device, store: StoreReader): Promise<void> {
  const { lineage, record } = await lineageOf(disk.certificate, store);
  expect(record, `the copy of ${name} was not found`).toMatchObject({ state: 'quarantined' });
  expect((await store.sightings(lineage)).length).toBeGreaterThan(1);
}

/** Its certificate is good, and the head of its lineage; and nothing newer is out, so there is no other head. */
async function expectWell(
  { name, disk, refusals }: Device,
  store: StoreReader,
  expected: { readonly now: bigint; readonly trustedCas: ReadonlySet<Fingerprint> },
): Promise<void> {
  const { serial, lineage, record } = await lineageOf(disk.certificate, store);
  expect(record, `${name} ${JSON.stringify([...refusals])}`).toMatchObject({ state: 'active', head: serial });
  const certificate = decodeCertificate(disk.certificate);
  expect(findCertificateFault(certificate, { type: 'host', principal: name, ...expected })).toBeUndefined();
  const { items } = await store.certificates({ lineage, state: 'issued' }, { limit: 1 });
  expect(items[0]?.serial).toBe(serial);
  expect(refusals.get('lineage-quarantined') ?? 0).toBe(0);
  expect(refusals.get('not-lineage-head') ?? 0).toBe(0);
}

/** What devices end up with, before programs that know nothing of all this: ssh-keygen reads it, sshd serves it, and ssh believes it. */
async function judgeSample(devices: readonly Device[], hostCa: PublicKey): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-devices-'));
  try {
    const knownHosts = join(directory, 'known_hosts');
    await writeFile(knownHosts, `@cert-authority *.example.com ${formatPublicKeyLine(hostCa)}\n`);
    for (const { disk, name, key } of devices) {
      const path = join(directory, name);
      await writeFile(path, encodePrivateKey(key.privateKey, { random: { checkInt: 1, salt: new Uint8Array(16) } }), {
        mode: 0o600,
      });
      await writeFile(`${path}-cert.pub`, `ssh-ed25519-cert-v01@openssh.com ${encodeBase64(disk.certificate)}\n`);
      const { stdout } = await execa('ssh-keygen', ['-L', '-f', `${path}-cert.pub`]);
      expect(stdout).toContain(fingerprintOf(encodePublicKey(hostCa)));
      expect(stdout).toContain(`Serial: ${decodeCertificate(disk.certificate).serial}`);
      expect(stdout).toContain(name);
      expect(await sshTo(name, path, knownHosts)).toContain('Permission denied');
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** As far as the login that nobody has: the host was believed by then. What ssh says. */
async function sshTo(name: string, path: string, knownHosts: string): Promise<string> {
  const config = [`HostKey ${path}`, `HostCertificate ${path}-cert.pub`, 'PasswordAuthentication no'];
  await using sshd = await startSshd({ keys: ['ecdsa'], config });
  const options = {
    BatchMode: 'yes',
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: knownHosts,
    GlobalKnownHostsFile: 'none',
    HostKeyAlias: name,
    HostKeyAlgorithms: 'ssh-ed25519-cert-v01@openssh.com',
    IdentityFile: 'none',
    IdentityAgent: 'none',
  };
  const given = Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  const { stderr } = await execa('ssh', ['-F', 'none', ...given, '-p', String(sshd.port), `nobody@${sshd.address}`], {
    reject: false,
    stdin: 'ignore',
    timeout: 60_000,
  });
  return stderr;
}
