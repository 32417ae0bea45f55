/** `countersign-ca audit`: every decision, newest first; with `--verify`, whether the chain is whole. */
import { CommandError } from '../command-error.ts';
import { type ChainReport, ChainVerifier } from '../audit/verify.ts';
import type { AuditEntry } from '../audit/entry.ts';
import type { StoreReader } from '../store/store.ts';
import { formatTime, printJson, printTable } from './output.ts';
import { PAGE_LENGTH, openReader, take } from './reading.ts';

const VERIFY_PAGE = 1000;

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
  const report = await walk(store, expect === undefined ? undefined : readHash(expect));
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

async function walk(store: StoreReader, expect: Uint8Array | undefined): Promise<ChainReport> {
  const head = await store.auditHead();
  const verifier = new ChainVerifier({ head, expect });
  let next = 0n;
  for (;;) {
    const entries = await store.auditFrom(next, VERIFY_PAGE);
    // What was appended after the head was read is for the next run.
    for (const entry of entries) if (entry.sequence <= head.lastStored) verifier.push(entry);
    const last = entries.at(-1);
    if (entries.length < VERIFY_PAGE || last === undefined || last.sequence > head.lastStored) return verifier.finish();
    next = last.sequence + 1n;
  }
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
