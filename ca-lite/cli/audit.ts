/**
 * `countersign-ca audit`: every decision, newest first; with `--verify`, whether the chain is whole, and whether every signature that an HSM
 * logged belongs to a certificate.
 */
import { CommandError } from '../command-error.ts';
import { ACKNOWLEDGE, KEY_CERTIFY } from '../audit/device-log-entry.ts';
import type { AuditEntry } from '../audit/entry.ts';
import { type DeviceLogReport, DeviceLogVerifier } from '../audit/verify-device-log.ts';
import { verifyStoredAudit } from '../audit/verify-store.ts';
import type { StoreReader } from '../store/store.ts';
import { administrator, openAdministrator } from './administering.ts';
import { nowInSeconds } from './epoch.ts';
import { formatTime, printJson, printTable } from './output.ts';
import { PAGE_LENGTH, openReader, take } from './reading.ts';

export interface AuditOptions {
  readonly dir: string;
  readonly verify?: boolean;
  readonly expect?: string;
  readonly acknowledge?: bigint;
  readonly reason?: string;
  readonly action?: string;
  readonly name?: string;
  readonly refused?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

export async function audit(options: AuditOptions): Promise<void> {
  if (options.acknowledge !== undefined) return acknowledge(options.acknowledge, options);
  await using store = await openReader(options.dir);
  if (options.verify === true || options.expect !== undefined) return await verify(store, options);
  const filter = {
    action: options.action,
    name: options.name,
    ...(options.refused === true ? { outcome: 'refused' as const } : {}),
  };
  const entries = await take(options.limit, (cursor) => store.audit(filter, { limit: PAGE_LENGTH, cursor }));
  if (options.json === true) return printJson(entries.map(jsonOf));
  const rows = entries.map(({ sequence, time, action, outcome, code, subject }) => [
    sequence,
    formatTime(time),
    action,
    outcome === 'allowed' ? outcome : `${outcome} (${code})`,
    subject.name ?? '-',
    subject.requester ?? subject.actor ?? '-',
    subject.serial ?? '-',
  ]);
  printTable(['NUMBER', 'TIME', 'ACTION', 'OUTCOME', 'NAME', 'FROM', 'SERIAL'], rows, 'The audit log is empty.');
}

async function verify(store: StoreReader, { expect, json }: AuditOptions): Promise<void> {
  const devices = new DeviceLogVerifier(async (serial) => isOnRecord(store, serial));
  const report = await verifyStoredAudit(store, {
    expect: expect === undefined ? undefined : readHash(expect),
    inspect: async (entry) => devices.push(entry),
    onProgress: showProgress,
  });
  const deviceLogs = devices.finish();
  const hash = Buffer.from(report.hash).toString('hex');
  if (json === true) printJson({ ...report, hash, ok: report.ok && deviceLogs.faults.length === 0, deviceLogs });
  else {
    if (report.ok)
      process.stdout.write(
        `The audit log is whole: ${report.entries} entries.\nHead ${hash}\nKeep it elsewhere, and compare later with: countersign-ca audit --expect ${hash}\n`,
      );
    for (const { kind, sequence, message } of report.faults)
      process.stdout.write(`entry ${sequence}: ${kind}: ${message}\n`);
    printDeviceLogs(deviceLogs);
  }
  if (!report.ok)
    throw new CommandError(
      `The audit log has been tampered with or damaged: ${report.faultCount} faults. Keep a copy of the store and compare it with a backup.`,
    );
  if (deviceLogs.faults.length > 0)
    throw new CommandError(
      `The log of an HSM does not agree with the certificates of this CA: ${deviceLogs.faults.length} faults. If nobody of yours used the CA key ` +
        `by hand, somebody else does: revoke it. What you have explained: countersign-ca audit --acknowledge NUMBER --reason TEXT`,
    );
}

function printDeviceLogs({ signatures, faults, acknowledged }: DeviceLogReport): void {
  if (signatures > 0)
    process.stdout.write(`Signatures that HSMs logged and that belong to certificates: ${signatures}.\n`);
  for (const { kind, sequence, message } of faults) process.stdout.write(`entry ${sequence}: ${kind}: ${message}\n`);
  for (const { kind, sequence, message } of acknowledged)
    process.stdout.write(`entry ${sequence}: acknowledged: ${kind}: ${message}\n`);
}

/** A certificate, or one that the CA made for a key of its own. */
async function isOnRecord(store: StoreReader, serial: bigint): Promise<boolean> {
  if ((await store.certificate(serial)) !== null) return true;
  const { items } = await store.audit({ serial, action: KEY_CERTIFY }, { limit: 1 });
  return items.length > 0;
}

/** Says that an administrator knows what an entry of the log tells; the entry stays. */
async function acknowledge(sequence: bigint, { dir, reason = '', json }: AuditOptions): Promise<void> {
  if (reason.trim() === '')
    throw new CommandError('Say what you found out, for those who read the log later: --reason TEXT');
  await using store = await openAdministrator(dir);
  const [entry] = await store.auditFrom(sequence, 1);
  if (entry?.sequence !== sequence) throw new CommandError(`The audit log has no entry ${sequence}.`);
  const subject = { name: entry.subject.name, actor: administrator() };
  const details = { entry: Number(sequence), reason };
  await store.appendAudit([
    { time: nowInSeconds(), action: ACKNOWLEDGE, outcome: 'allowed', code: 'ok', subject, details },
  ]);
  if (json === true) return printJson({ acknowledged: sequence });
  process.stdout.write(`Entry ${sequence} is acknowledged.\n`);
}

/** A log of years takes a while; on a terminal one line tells how far it is. */
function showProgress(walked: bigint, total: bigint): void {
  if (!process.stderr.isTTY || total < 10_000n) return;
  process.stderr.write(walked < total ? `\r${walked} of ${total} entries` : '\r\u001b[K');
}

function readHash(text: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/.test(text))
    throw new CommandError('--expect needs the hash that an earlier --verify printed: 64 hex digits.');
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

function jsonOf({ hash, details, time, ...entry }: AuditEntry): Record<string, unknown> {
  return {
    ...entry,
    time: formatTime(time),
    details: JSON.parse(details) as unknown,
    hash: Buffer.from(hash).toString('hex'),
  };
}
