/** Renewals and reports in the database: one transaction sees who shows which certificate, and decides what follows. */
import type { PreparedNote } from '../audit/entry.ts';
import type {
  RefusedPresentation,
  RenewalDecision,
  RenewalRefusal,
  RenewalRequest,
  ReportDecision,
  ReportRefusal,
  ReportRequest,
  ResolveRefusal,
  ResolveRequest,
} from './lineage-decisions.ts';
import type { Decision } from './decisions.ts';
import type { Prepared } from './prepared.ts';
import { findHostGrant, useGrant } from './sqlite-grants.ts';
import { insertIntent, isSerialTaken } from './sqlite-issuance.ts';
import { type LineageRow, type MemberRow, findLineage, findMember, see } from './sqlite-lineages.ts';
import { endLineages, isSerialRevoked, krlNumber, nextKrlNumber, revokeCertificates } from './sqlite-revocations.ts';
import { checkToken, consume } from './sqlite-single-use.ts';
import type { Transaction } from './sqlite-transaction.ts';
import { decodeSerial, encodeList } from './sqlite-values.ts';

type Renewal = Prepared<RenewalRequest>;

/** An intent that is older is of a process that died between recording and signing: nobody waits for it. */
export const MAX_SIGNING_SECONDS = 60n;

export function renew(transaction: Transaction, request: Renewal): RenewalDecision {
  const { token, presented, audit } = request;
  const spent = checkToken(transaction, token);
  if (spent !== null) return refuse(transaction, audit, spent, null);
  const { refusal, lineage, member } = see(transaction, presented);
  if (refusal !== null || lineage === null || member === null)
    return refuse(transaction, audit, refusal ?? 'certificate-unknown', lineage);
  if (request.intent === null) return refuse(transaction, audit, 'policy', lineage, request.policyRefusal ?? 'policy');
  const known = findSuccessor(transaction, lineage, request);
  if (known?.state === 'intended') return { accepted: true, outcome: 'underway', serial: decodeSerial(known.serial) };
  if (known !== undefined) {
    consume(transaction, 'token', token);
    const entry = transaction.audit(audit, 'allowed', 'same-certificate');
    return { accepted: true, outcome: 'issued', serial: decodeSerial(known.serial), audit: entry };
  }
  return intendSuccessor(transaction, request, lineage, member);
}

function intendSuccessor(
  transaction: Transaction,
  request: Renewal,
  lineage: LineageRow,
  member: MemberRow,
): RenewalDecision {
  const { token, presented, intent, audit } = request;
  if (intent === null || isSerialTaken(transaction, intent.serial))
    return refuse(transaction, audit, 'serial-exists', lineage);
  const grant = request.needsGrant ? findHostGrant(transaction, member, lineage, presented.now) : null;
  if (request.needsGrant && grant === null) return refuse(transaction, audit, 'renewal-expired', lineage);
  consume(transaction, 'token', token);
  if (grant !== null) useGrant(transaction, grant);
  const fields = { ...intent, now: presented.now, lineage: lineage.lineage, predecessor: presented.serial };
  insertIntent(transaction, fields, member.host_id, grant);
  const entry = transaction.audit(audit, 'allowed', grant === null ? 'ok' : `grant-${grant}`);
  return { accepted: true, outcome: 'intended', lineage: lineage.lineage, audit: entry };
}

interface SuccessorRow {
  readonly serial: Uint8Array;
  readonly state: 'intended' | 'issued';
}

/**
 * A successor that waits for its first use and says what would be said today: the same key and principals, and not so old that it would be
 * due for renewal itself.
 */
function findSuccessor(
  transaction: Transaction,
  lineage: LineageRow,
  { intent, presented }: Renewal,
): SuccessorRow | undefined {
  if (intent === null) return undefined;
  const { now } = presented;
  const rows = transaction.connection.all<SuccessorRow>(
    `SELECT serial, state FROM certificates WHERE lineage = ? AND id > ? AND key_fingerprint = ? AND principals = ?
       AND (state = 'issued' AND ? < valid_after + (valid_before - valid_after) * 2 / 3
         OR state = 'intended' AND intended_at > ?)
     ORDER BY id DESC`,
    lineage.lineage,
    lineage.head_id,
    intent.keyFingerprint,
    encodeList(intent.principals),
    now,
    now - MAX_SIGNING_SECONDS,
  );
  return rows.find(({ serial }) => !isSerialRevoked(transaction, serial));
}

export function report(transaction: Transaction, request: Prepared<ReportRequest>): ReportDecision {
  const { token, presented, audit } = request;
  const spent = checkToken(transaction, token);
  if (spent !== null) return refuse(transaction, audit, spent, null);
  const { refusal, lineage, first } = see(transaction, presented);
  if (refusal !== null || lineage === null)
    return refuse(transaction, audit, refusal ?? 'certificate-unknown', lineage);
  consume(transaction, 'token', token);
  writeReport(transaction, request, lineage);
  // A report that changes nothing is not a decision: a fleet that reports often must not fill the log.
  if (first) transaction.audit(audit, 'allowed', 'ok');
  const { connection } = transaction;
  return { accepted: true, lineage: lineage.lineage, acknowledged: first, krlNumber: krlNumber(connection) };
}

function writeReport(
  { connection }: Transaction,
  { presented, report: said }: Prepared<ReportRequest>,
  { id, head }: LineageRow,
): void {
  connection.run(
    `INSERT INTO reports VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (lineage_id) DO UPDATE SET serial = excluded.serial, reported_at = excluded.reported_at,
       requester = excluded.requester, agent_version = excluded.agent_version,
       trusted_host_cas = excluded.trusted_host_cas, trusted_user_cas = excluded.trusted_user_cas,
       krl_number = excluded.krl_number`,
    id,
    head,
    presented.now,
    presented.requester,
    said.agentVersion,
    encodeList(said.trustedHostCas),
    encodeList(said.trustedUserCas),
    said.krlNumber,
  );
}

export function resolve(transaction: Transaction, request: Prepared<ResolveRequest>): Decision<ResolveRefusal> {
  const { keep, now, audit } = request;
  const refused = (refusal: ResolveRefusal): Decision<ResolveRefusal> => ({
    accepted: false,
    refusal,
    audit: transaction.audit(audit, 'refused', refusal),
    holder: null,
  });
  const lineage = findLineage(transaction, request.lineage);
  if (lineage === undefined) return refused('lineage-unknown');
  if (lineage.state !== 'quarantined') return refused('lineage-not-quarantined');
  const kept = keep === null ? null : findMember(transaction, keep);
  const fits = kept === null || (kept?.lineage === lineage.lineage && !isSerialRevoked(transaction, kept.serial));
  if (kept === undefined || !fits) return refused('serial-not-in-lineage');
  const mark = { reason: 'quarantine resolved', now, revokedBy: audit.subject.actor ?? 'administrator' };
  const revoked = revokeCertificates(transaction, rowsToRevoke(transaction, lineage, kept), mark);
  nextKrlNumber(transaction, now, revoked > 0);
  if (kept === null) endLineages(transaction, [lineage.lineage], now);
  else goOnWith(transaction, lineage, kept, now);
  return { accepted: true, audit: transaction.audit(audit, 'allowed', 'ok') };
}

/** Of the other side: what is newer than the certificate kept, and whatever was seen. Without one to keep, everything. */
function rowsToRevoke({ connection }: Transaction, { id, lineage }: LineageRow, kept: MemberRow | null): bigint[] {
  return connection
    .all<{ id: bigint }>(
      `SELECT id FROM certificates WHERE lineage = ? AND state <> 'abandoned' AND id <> ?
         AND (id > ? OR serial IN (SELECT serial FROM sightings WHERE lineage_id = ?))`,
      lineage,
      kept?.id ?? 0n,
      kept?.id ?? 0n,
      id,
    )
    .map((row) => row.id);
}

function goOnWith({ connection }: Transaction, { id }: LineageRow, kept: MemberRow, now: bigint): void {
  connection.run(
    `UPDATE lineages SET state = 'active', head = ?, head_id = ?, key_fingerprint = ?, seen_at = ?, seen_signed_at = 0,
       changed_at = ? WHERE id = ?`,
    kept.serial,
    kept.id,
    kept.key_fingerprint,
    now,
    now,
    id,
  );
  connection.run('DELETE FROM sightings WHERE lineage_id = ?', id);
}

/** @param code of the audit entry, where it says more than the refusal */
function refuse<Refusal extends RenewalRefusal | ReportRefusal>(
  transaction: Transaction,
  note: PreparedNote,
  refusal: Refusal,
  lineage: LineageRow | null,
  code: string = refusal,
): RefusedPresentation<Refusal> {
  const audit = transaction.audit(note, 'refused', code);
  return { accepted: false, refusal, lineage: lineage?.lineage ?? null, audit };
}
