/** Renewals of user certificates in the database: one transaction judges the session, spends the token and a grant's use, records the intent. */
import type { CertificateRecord } from './records.ts';
import type { Prepared } from './prepared.ts';
import type { Connection } from './sqlite-connection.ts';
import { findGrant, useGrant } from './sqlite-grants.ts';
import { insertIntent, isSerialTaken } from './sqlite-issuance.ts';
import { MAX_SIGNING_SECONDS } from './sqlite-renewals.ts';
import { isKeyRevoked, isSerialRevoked } from './sqlite-revocations.ts';
import { type CertificateRow, certificateOf } from './sqlite-rows.ts';
import { checkToken, consume } from './sqlite-single-use.ts';
import type { Transaction } from './sqlite-transaction.ts';
import { decodeList, decodeSerial, encodeList, encodeSerial } from './sqlite-values.ts';
import type {
  SignInRecord,
  UserRenewalDecision,
  UserRenewalRefusal,
  UserRenewalRequest,
  UserRenewalSubject,
} from './user-decisions.ts';

type Renewal = Prepared<UserRenewalRequest>;

interface MemberRow {
  readonly id: bigint;
  readonly serial: Uint8Array;
  readonly key_fingerprint: string;
  readonly key_id: string;
  readonly identity: string;
  readonly session: string;
  readonly ended_at: bigint | null;
}

const FIND_MEMBER = `SELECT c.id, c.serial, c.key_fingerprint, c.key_id, s.identity, s.session, s.ended_at
  FROM certificates c JOIN sign_ins s ON s.session = c.lineage
  WHERE c.serial = ? AND c.type = 'user' AND c.state = 'issued'`;

export function renewUser(transaction: Transaction, request: Renewal): UserRenewalDecision {
  const { token, serial, intent, audit } = request;
  const member = transaction.connection.get<MemberRow>(FIND_MEMBER, encodeSerial(serial));
  const session = member?.session ?? null;
  const refuse = (refusal: UserRenewalRefusal, code: string = refusal): UserRenewalDecision => {
    return { accepted: false, refusal, lineage: session, audit: transaction.audit(audit, 'refused', code) };
  };
  const spent = checkToken(transaction, token);
  if (spent !== null) return refuse(spent);
  if (member === undefined) return refuse('certificate-unknown');
  if (isRevoked(transaction, member)) return refuse('renewal-revoked');
  if (intent === null) return refuse('policy', request.policyRefusal ?? 'policy');
  const known = findSuccessor(transaction, member, request);
  if (known?.state === 'intended') return { accepted: true, outcome: 'underway', serial: decodeSerial(known.serial) };
  const renewals = countRenewals(transaction.connection, member.session);
  if (known !== undefined) {
    consume(transaction, 'token', token);
    const entry = transaction.audit(audit, 'allowed', 'same-certificate');
    const granted = known.grant_id !== null;
    return { accepted: true, outcome: 'issued', serial: decodeSerial(known.serial), renewals, granted, audit: entry };
  }
  if (isSerialTaken(transaction, intent.serial)) return refuse('serial-exists');
  const needsGrant = request.needsGrant || renewals >= request.maxRenewals;
  const grant = needsGrant ? findUserGrant(transaction, member, request.now) : null;
  if (needsGrant && grant === null) return refuse('renewal-expired');
  return intendSuccessor(transaction, { ...request, intent }, member, grant, renewals + 1);
}

function intendSuccessor(
  transaction: Transaction,
  { token, intent, now, audit }: Renewal & { readonly intent: NonNullable<Renewal['intent']> },
  { session, identity, serial }: MemberRow,
  grant: bigint | null,
  renewals: number,
): UserRenewalDecision {
  consume(transaction, 'token', token);
  if (grant !== null) useGrant(transaction, grant);
  const signIn = { identity, claims: null };
  insertIntent(
    transaction,
    { ...intent, now, lineage: session, predecessor: decodeSerial(serial), signIn },
    null,
    grant,
  );
  const entry = transaction.audit(audit, 'allowed', grant === null ? 'ok' : `grant-${grant}`);
  const granted = grant !== null;
  return { accepted: true, outcome: 'intended', serial: intent.serial, renewals, granted, audit: entry };
}

function isRevoked(transaction: Transaction, { serial, key_fingerprint: key, ended_at: ended }: MemberRow): boolean {
  return ended !== null || isSerialRevoked(transaction, serial) || isKeyRevoked(transaction, key);
}

interface SuccessorRow {
  readonly serial: Uint8Array;
  readonly state: 'intended' | 'issued';
  readonly grant_id: bigint | null;
}

/** One that was made from this session after this certificate, says what would be said today, and is not due itself; or one under way. */
function findSuccessor(
  { connection }: Transaction,
  { id, session, key_fingerprint: key }: MemberRow,
  { intent, now, sameEnd }: Renewal,
): SuccessorRow | undefined {
  if (intent === null) return undefined;
  return connection.get<SuccessorRow>(
    `SELECT serial, state, grant_id FROM certificates
     WHERE lineage = ? AND id > ? AND key_fingerprint = ? AND key_id = ? AND principals = ?
       AND length(signed_bytes) = ? AND substr(signed_bytes, ?) = ?
       AND (state = 'issued' AND ? < valid_after + (valid_before - valid_after) * 2 / 3
         OR state = 'intended' AND intended_at > ?)
     ORDER BY id DESC LIMIT 1`,
    session,
    id,
    key,
    intent.keyId,
    encodeList(intent.principals),
    BigInt(intent.signedBytes.length),
    BigInt(-sameEnd.length),
    sameEnd,
    now,
    now - MAX_SIGNING_SECONDS,
  );
}

function findUserGrant(transaction: Transaction, member: MemberRow, now: bigint): bigint | null {
  const { serial, session, identity, key_id: keyId } = member;
  const target = { serial: decodeSerial(serial), lineage: session, kind: 'user', names: [identity, keyId] } as const;
  return findGrant(transaction, target, now);
}

/** Those that were called off do not count. */
function countRenewals(connection: Connection, session: string): number {
  const sql = `SELECT count(*) AS count FROM certificates WHERE lineage = ? AND predecessor IS NOT NULL AND state <> 'abandoned'`;
  return Number(connection.get<{ count: bigint }>(sql, session)?.count ?? 0n);
}

export function readUserRenewalSubject(connection: Connection, serial: bigint): UserRenewalSubject | null {
  const row = connection.get<CertificateRow>(
    `SELECT * FROM certificates WHERE serial = ? AND type = 'user' AND state = 'issued'`,
    encodeSerial(serial),
  );
  if (row === undefined) return null;
  const certificate = certificateOf(row);
  return { certificate, signIn: readSignIn(connection, certificate) };
}

function readSignIn(connection: Connection, { lineage }: CertificateRecord): SignInRecord | null {
  if (lineage === null) return null;
  const row = connection.get<{
    session: string;
    identity: string;
    provisioner: string;
    principals: string;
    claims: string | null;
    signed_in_at: bigint;
  }>(
    'SELECT session, identity, provisioner, principals, claims, signed_in_at FROM sign_ins WHERE session = ?',
    lineage,
  );
  if (row === undefined) return null;
  const { signed_in_at: signedInAt, principals, ...rest } = row;
  return { ...rest, principals: decodeList(principals), signedInAt };
}
