/** What `audit --verify` says about the logs of HSMs. */
import { describe, expect, test } from 'vitest';
import { DeviceLogVerifier } from '#ca-lite/audit/verify-device-log.ts';
import type { AuditEntry } from '#ca-lite/audit/entry.ts';

const device = 'yubihsm 12345678';
const onRecord = new Set([7n, 8n]);

function audited(sequence: number, action: string, change: Partial<AuditEntry> & { serial?: bigint }): AuditEntry {
  const { serial = null, ...rest } = change;
  const nobody = { type: null, keyFingerprint: null, provisioner: null, requester: null, actor: null, requestId: null };
  return {
    sequence: BigInt(sequence),
    time: 0n,
    action,
    outcome: 'allowed',
    code: 'ok',
    subject: { ...nobody, name: device, serial },
    details: '{}',
    hash: new Uint8Array(32),
    ...rest,
  };
}

/** The text of a device's entry: SIGN EDDSA by key 0x0101. */
function signed(number: number, key = 0x0101): string {
  const covered = Buffer.alloc(16);
  covered.writeUInt16BE(number, 0);
  covered[2] = 0x6a;
  covered.writeUInt16BE(key, 7);
  covered.fill(0xff, 9, 11);
  covered[11] = 0xea;
  return `${covered.toString('base64')} ${Buffer.alloc(16).toString('base64')}`;
}

const batch = (sequence: number, entries: string[], change: { linked?: boolean; code?: string } = {}): AuditEntry => {
  const { linked = true, code = 'ok' } = change;
  return audited(sequence, 'hsm-log', { code, details: JSON.stringify({ entries, linked, watched: [0x0101] }) });
};
const signature = (sequence: number, entry: number, serial: bigint): AuditEntry =>
  audited(sequence, 'hsm-signature', { serial, details: JSON.stringify({ entry, by: 'session' }) });
const baseline = batch(1, [], { linked: false });

async function verify(...entries: AuditEntry[]) {
  const verifier = new DeviceLogVerifier(async (serial) => onRecord.has(serial));
  for (const entry of entries) await verifier.push(entry);
  return verifier.finish();
}

describe('the logs of devices', () => {
  test('agree with certificates that are on record', async () => {
    const report = await verify(
      baseline,
      signature(2, 10, 7n),
      signature(3, 11, 8n),
      batch(4, [signed(10), signed(11)]),
    );
    expect(report).toEqual({ signatures: 2, faults: [], acknowledged: [] });
  });

  test('show a signature that belongs to no certificate', async () => {
    const { faults } = await verify(baseline, signature(2, 10, 7n), batch(3, [signed(10), signed(11)]));
    expect(faults).toMatchObject([{ kind: 'signature-unknown', sequence: 3n }]);
  });

  test('show it also when a later batch has a certificate for an entry of that number', async () => {
    const { faults } = await verify(baseline, batch(2, [signed(10)]), signature(3, 10, 7n), batch(4, []));
    expect(faults).toMatchObject([{ kind: 'signature-unknown', sequence: 2n }]);
  });

  test('show a signature for a certificate that is on no record', async () => {
    const { faults } = await verify(baseline, signature(2, 10, 9n), batch(3, [signed(10)]));
    expect(faults.map(({ kind }) => kind)).toEqual(['signature-unrecorded', 'signature-unknown']);
  });

  test('show that entries were missing', async () => {
    const broken = batch(2, [signed(10)], { linked: false, code: 'log-chain-broken' });
    expect((await verify(baseline, broken)).faults).toMatchObject([{ kind: 'device-log-broken', sequence: 2n }]);
  });

  test('say nothing of what came before the CA, and of keys that are none of its', async () => {
    const report = await verify(batch(1, [signed(10)], { linked: false }), batch(2, [signed(11, 0x0104)]));
    expect(report.faults).toEqual([]);
  });

  test('are believed where an administrator acknowledged them, and nowhere else', async () => {
    const acknowledged = audited(4, 'audit-acknowledge', { details: '{"entry":2,"reason":"a test"}' });
    const report = await verify(baseline, batch(2, [signed(10)]), batch(3, [signed(11)]), acknowledged);
    expect(report.acknowledged).toMatchObject([{ sequence: 2n }]);
    expect(report.faults).toMatchObject([{ sequence: 3n }]);
  });
});
