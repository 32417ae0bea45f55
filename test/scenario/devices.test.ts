/**
 * A fleet of devices over many certificate lifetimes against the real CA: lost and doubled messages, power cuts between every two steps,
 * clocks that lie, a CA that dies in the middle, and copied disks. The seed is printed; COUNTERSIGN_SEED replays it, COUNTERSIGN_DEVICES and
 * COUNTERSIGN_DAYS make it larger.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { encodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { findCertificateFault } from '#openssh/certificate-check.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { verifyStoredAudit } from '#ca-lite/audit/verify-store.ts';
import type { Device } from '../simulator/devices/device.ts';
import { Fleet } from '../simulator/devices/fleet.ts';

const number = (name: string, normal: number): number => Number(process.env[name] ?? normal);
const options = {
  seed: number('COUNTERSIGN_SEED', Math.floor(Math.random() * 2 ** 31)),
  devices: number('COUNTERSIGN_DEVICES', 120),
  days: number('COUNTERSIGN_DAYS', 300),
  copies: 6,
};

test(`no device is stranded, no lineage has two heads, every copy is found and nothing else (seed ${options.seed})`, async () => {
  process.stdout.write(`devices: ${JSON.stringify(options)}\n`);
  await using fleet = await Fleet.make(options);
  await fleet.run();
  const { ca, devices } = fleet;
  const hostCa = fingerprintOf(encodePublicKey(ca.context.signers.host.publicKey));
  const trustedCas = new Set([hostCa]);
  const lineageOf = async (device: Device) => {
    const { serial } = decodeCertificate(device.disk.certificate);
    const record = await ca.store.certificate(serial);
    return { serial, record: await ca.store.lineage(record?.lineage ?? '') };
  };
  for (const device of devices) {
    const { serial, record } = await lineageOf(device);
    if (device.copied) {
      expect(record, `the copy of ${device.name} was not found`).toMatchObject({ state: 'quarantined' });
      expect(await ca.store.sightings(record?.lineage ?? '')).not.toHaveLength(1);
      continue;
    }
    expect(record, `${device.name} ${JSON.stringify([...device.refusals])}`).toMatchObject({
      state: 'active',
      head: serial,
    });
    const expected = { type: 'host', now: ca.now, trustedCas, principal: device.name } as const;
    expect(findCertificateFault(decodeCertificate(device.disk.certificate), expected)).toBeUndefined();
    // Nothing newer is out: the head is the last certificate of its lineage.
    const { items } = await ca.store.certificates({ lineage: record?.lineage, state: 'issued' }, { limit: 1 });
    expect(items[0]?.serial).toBe(serial);
    expect(device.refusals.get('lineage-quarantined') ?? 0).toBe(0);
    expect(device.refusals.get('not-lineage-head') ?? 0).toBe(0);
  }
  const { items: quarantined } = await ca.store.lineages({ state: 'quarantined' }, { limit: 1000 });
  expect(quarantined).toHaveLength(devices.filter(({ copied }) => copied).length / 2);
  expect(devices.some(({ copied }) => copied)).toBe(true);
  expect((await ca.store.counts()).certificates.host.intended).toBe(0n);
  expect(await verifyStoredAudit(ca.store)).toMatchObject({ ok: true });
  const renewals = devices.reduce((sum, device) => sum + device.renewals, 0);
  process.stdout.write(
    `devices: ${renewals} renewals, ${fleet.kills} deaths of the CA, ${fleet.lateAnswers.length} late requests\n`,
  );
  expect(renewals).toBeGreaterThan(devices.length);
  await judgeSample(devices.slice(0, 5), hostCa);
}, 600_000);

/** ssh-keygen reads the certificates that devices end up with, and names the same CA and serial. */
async function judgeSample(devices: readonly Device[], hostCa: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-devices-'));
  try {
    for (const { disk, name } of devices) {
      const path = join(directory, `${name}-cert.pub`);
      await writeFile(path, `ssh-ed25519-cert-v01@openssh.com ${encodeBase64(disk.certificate)}\n`);
      const { stdout } = await execa('ssh-keygen', ['-L', '-f', path]);
      expect(stdout).toContain(hostCa);
      expect(stdout).toContain(`Serial: ${decodeCertificate(disk.certificate).serial}`);
      expect(stdout).toContain(name);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
