/** What is known of an enrolled host beyond its enrolment: its certificate, its lineage, and what its agent last reported. */
import type { LineageRecord, ReportRecord } from '../store/lineage-decisions.ts';
import type { HostRecord } from '../store/records.ts';
import type { StoreReader } from '../store/store.ts';
import { formatTime } from './output.ts';

export interface Inventory {
  readonly host: HostRecord;
  readonly validBefore: bigint | null;
  readonly lineage: LineageRecord | null;
  readonly report: ReportRecord | null;
}

/** A few look-ups by index. */
export async function takeInventory(host: HostRecord, store: StoreReader): Promise<Inventory> {
  const certificate = host.serial === null ? null : await store.certificate(host.serial);
  const name = certificate?.lineage ?? null;
  return {
    host,
    validBefore: certificate?.validBefore ?? null,
    lineage: name === null ? null : await store.lineage(name),
    report: name === null ? null : await store.report(name),
  };
}

/** `enrolled`, or what needs a person: a lineage that is quarantined or revoked. */
export function stateOf({ host, lineage }: Inventory): string {
  return lineage === null || lineage.state === 'active' ? host.state : lineage.state;
}

export function jsonOf({ host, validBefore, lineage, report }: Inventory): Record<string, unknown> {
  return {
    ...host,
    firstSeen: formatTime(host.firstSeen),
    lastSeen: formatTime(host.lastSeen),
    clearedAt: formatTime(host.clearedAt),
    validBefore: formatTime(validBefore),
    lineage: lineage === null ? null : { lineage: lineage.lineage, state: lineage.state, head: lineage.head },
    report: report === null ? null : { ...report, reportedAt: formatTime(report.reportedAt) },
  };
}
