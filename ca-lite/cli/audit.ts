/** `countersign-ca audit`: every decision, newest first; with `--verify`, whether the chain is whole. */
import { CommandError } from '../command-error.ts';
import { verifyStoredAudit } from '../audit/verify-store.ts';
import type { AuditEntry } from '../audit/entry.ts';
import type { StoreReader } from '../store/store.ts';
import { formatTime, printJson, printTable } from './output.ts';
import { PAGE_LENGTH, openReader, take } from './reading.ts';

export interface AuditOptions {
  readonly dir: string;
  readonly verify?: boolean;
  readonly expect?: string;
  readonly action?: string;
  readonly name?: string;
  readonly refused?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

export async function audit(options: AuditOptions): Promise<void> {
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
  const report = await verifyStoredAudit(store, {
    expect: expect === undefined ? undefined : readHash(expect),
    onProgress: showProgress,
  });
  const hash = Buffer.from(report.hash).toString('hex');
  if (json === true) printJson({ ...report, hash });
  else if (report.ok)
    process.stdout.write(
      `The audit log is whole: ${report.entries} entries.\nHead ${hash}\nKeep it elsewhere, and compare later with: countersign-ca audit --expect ${hash}\n`,
    );
  else
    for (const { kind, sequence, message } of report.faults)
      process.stdout.write(`entry ${sequence}: ${kind}: ${message}\n`);
  if (!report.ok)
    throw new CommandError(
      `The audit log has been tampered with or damaged: ${report.faultCount} faults. Keep a copy of the store and compare it with a backup.`,
    );
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
