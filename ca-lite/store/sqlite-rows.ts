/** Rows of the tables as records of `records.ts`. */
import type { CertificateType } from '#openssh/certificate.ts';
import type { AuditEntry, AuditOutcome } from '../audit/entry.ts';
import type { CertificateRecord, CertificateState, HostRecord, HostState } from './records.ts';
import { decodeList, decodeSerial } from './sqlite-values.ts';

export interface CertificateRow {
  readonly serial: Uint8Array;
  readonly type: CertificateType;
  readonly state: CertificateState;
  readonly key_fingerprint: string;
  readonly key_id: string;
  readonly principals: string;
  readonly valid_after: bigint;
  readonly valid_before: bigint;
  readonly lineage: string | null;
  readonly identity: string | null;
  readonly predecessor: Uint8Array | null;
  readonly provisioner: string;
  readonly requester: string;
  readonly intended_at: bigint;
  readonly finished_at: bigint | null;
  readonly signed_bytes: Uint8Array;
  readonly signature: Uint8Array | null;
}

export function certificateOf(row: CertificateRow): CertificateRecord {
  const { signed_bytes: signedBytes, signature } = row;
  return {
    serial: decodeSerial(row.serial),
    type: row.type,
    state: row.state,
    keyFingerprint: row.key_fingerprint,
    keyId: row.key_id,
    principals: decodeList(row.principals),
    validAfter: row.valid_after,
    validBefore: row.valid_before,
    lineage: row.lineage,
    identity: row.identity,
    predecessor: row.predecessor === null ? null : decodeSerial(row.predecessor),
    provisioner: row.provisioner,
    requester: row.requester,
    intendedAt: row.intended_at,
    finishedAt: row.finished_at,
    signedBytes,
    certificate: signature === null ? null : Buffer.concat([signedBytes, signature]),
  };
}

export interface HostRow {
  readonly enrolment: string;
  readonly names: string;
  readonly addresses: string;
  readonly key_fingerprint: string;
  readonly state: HostState;
  readonly vouched_by: string | null;
  readonly first_seen: bigint;
  readonly last_seen: bigint;
  readonly cleared_at: bigint | null;
  readonly serial: Uint8Array | null;
}

export function hostOf(row: HostRow): HostRecord {
  return {
    enrolment: row.enrolment,
    names: decodeList(row.names),
    addresses: decodeList(row.addresses),
    keyFingerprint: row.key_fingerprint,
    state: row.state,
    vouchedBy: row.vouched_by,
    firstSeen: row.first_seen,
    lastSeen: row.last_seen,
    clearedAt: row.cleared_at,
    serial: row.serial === null ? null : decodeSerial(row.serial),
  };
}

export interface AuditRow {
  readonly sequence: bigint;
  readonly time: bigint;
  readonly action: string;
  readonly outcome: AuditOutcome;
  readonly code: string;
  readonly type: CertificateType | null;
  readonly name: string | null;
  readonly serial: Uint8Array | null;
  readonly key_fingerprint: string | null;
  readonly provisioner: string | null;
  readonly requester: string | null;
  readonly actor: string | null;
  readonly request_id: string | null;
  readonly details: string;
  readonly hash: Uint8Array;
}

/** A row that was tampered with until it is no entry at all comes back with an empty hash, which fits no chain. */
export function auditEntryOf(row: AuditRow): AuditEntry {
  const wellFormed = row.serial === null || row.serial.length === 8;
  return {
    sequence: row.sequence,
    time: row.time,
    action: row.action,
    outcome: row.outcome,
    code: row.code,
    subject: {
      type: row.type,
      name: row.name,
      serial: row.serial === null || !wellFormed ? null : decodeSerial(row.serial),
      keyFingerprint: row.key_fingerprint,
      provisioner: row.provisioner,
      requester: row.requester,
      actor: row.actor,
      requestId: row.request_id,
    },
    details: row.details,
    hash: wellFormed ? row.hash : new Uint8Array(),
  };
}
