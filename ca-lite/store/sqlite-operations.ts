/**
 * What the writer can be asked, by name: each operation decides inside the transaction it is given and leaves exactly
 * one audit entry with its verdict (housekeeping, which decides nothing, leaves none).
 */
import type { PreparedNote, PreparedStatement } from '../audit/entry.ts';
import type {
  AbandonedIntent,
  AbandonRefusal,
  ClearHostRequest,
  ClearRefusal,
  ConsumeRequest,
  Decision,
  HostHolder,
  HostTokenRefusal,
  HostTokenRequest,
  IntentRefusal,
  IssuanceIntent,
  IssuanceResult,
  PruneRequest,
  PruneResult,
  ResultRefusal,
  SingleUseRefusal,
  TokenRefusal,
  TokenRequest,
} from './decisions.ts';
import type { Prepared } from './prepared.ts';
import { rotate } from './sqlite-ca-keys.ts';
import { endGrant, makeGrant } from './sqlite-grants.ts';
import { checkBinding, clearHosts } from './sqlite-hosts.ts';
import { type Conflict, abandon, finish, intend } from './sqlite-issuance.ts';
import { renew, report, resolve } from './sqlite-renewals.ts';
import { revoke } from './sqlite-revocations.ts';
import { checkNewToken, checkNonce, checkToken, consume, prune, recordOutstanding } from './sqlite-single-use.ts';
import { renewUser } from './sqlite-user-renewals.ts';
import type { Transaction } from './sqlite-transaction.ts';

/** The code of an entry whose decision went through. */
const OK = 'ok';

export const operations = {
  recordToken(transaction: Transaction, { token, audit }: Prepared<TokenRequest>): Decision<TokenRefusal> {
    const refusal = checkNewToken(transaction, token);
    if (refusal !== null) return refuse(transaction, audit, refusal);
    recordOutstanding(transaction, token);
    return accept(transaction, audit);
  },

  consumeToken(transaction: Transaction, { token, audit }: Prepared<ConsumeRequest>): Decision<SingleUseRefusal> {
    const refusal = checkToken(transaction, token);
    if (refusal !== null) return refuse(transaction, audit, refusal);
    consume(transaction, 'token', token);
    return accept(transaction, audit);
  },

  recordHostToken(transaction: Transaction, request: Prepared<HostTokenRequest>): Decision<HostTokenRefusal> {
    const conflict = hostTokenConflict(transaction, request);
    if (conflict !== null) return refuse(transaction, request.audit, conflict.refusal, conflict.holder);
    consume(transaction, 'nonce', request.nonce);
    recordOutstanding(transaction, request.token);
    return accept(transaction, request.audit);
  },

  recordIntent(transaction: Transaction, intent: Prepared<IssuanceIntent>): Decision<IntentRefusal> {
    const conflict = intend(transaction, intent);
    if (conflict !== null) return refuse(transaction, intent.audit, conflict.refusal, conflict.holder);
    return accept(transaction, intent.audit);
  },

  recordResult(transaction: Transaction, result: Prepared<IssuanceResult>): Decision<ResultRefusal> {
    const refusal = finish(transaction, result);
    if (refusal === 'already-recorded') return accept(transaction, result.audit, refusal);
    return refusal === null ? accept(transaction, result.audit) : refuse(transaction, result.audit, refusal);
  },

  abandonIntent(transaction: Transaction, intent: Prepared<AbandonedIntent>): Decision<AbandonRefusal> {
    const refusal = abandon(transaction, intent);
    return refusal === null ? accept(transaction, intent.audit) : refuse(transaction, intent.audit, refusal);
  },

  clearHost(transaction: Transaction, { name, now, audit }: Prepared<ClearHostRequest>): Decision<ClearRefusal> {
    const cleared = clearHosts(transaction, name, now);
    return cleared === 0n ? refuse(transaction, audit, 'host-unknown') : accept(transaction, audit);
  },

  recordRenewal: renew,
  recordUserRenewal: renewUser,
  recordReport: report,
  resolveLineage: resolve,
  makeGrant,
  endGrant,
  revoke,
  rotate,

  appendAudit(transaction: Transaction, statements: readonly PreparedStatement[]): bigint {
    let last = 0n;
    for (const statement of statements) last = transaction.audit(statement, statement.outcome, statement.code);
    return last;
  },

  prune(transaction: Transaction, request: PruneRequest): PruneResult {
    return prune(transaction, request);
  },
};

export type OperationName = keyof typeof operations;
export type OperationRequest<Name extends OperationName> = Parameters<(typeof operations)[Name]>[1];
export type OperationReply<Name extends OperationName> = ReturnType<(typeof operations)[Name]>;

/** One request on its way to the writer. */
export type Operation = {
  [Name in OperationName]: { readonly name: Name; readonly request: OperationRequest<Name> };
}[OperationName];

/** @throws what the database throws; the caller keeps the operation apart from others */
export function perform(transaction: Transaction, { name, request }: Operation): unknown {
  const operation = operations[name] as (transaction: Transaction, request: unknown) => unknown;
  return operation(transaction, request);
}

function hostTokenConflict(
  transaction: Transaction,
  { nonce, token, host }: Prepared<HostTokenRequest>,
): Conflict<HostTokenRefusal> | null {
  const spent = checkNonce(transaction, nonce);
  if (spent !== null) return { refusal: spent, holder: null };
  const conflict = checkBinding(transaction, host);
  if (conflict !== null) return conflict;
  const refusal = checkNewToken(transaction, token);
  return refusal === null ? null : { refusal, holder: null };
}

function accept(transaction: Transaction, note: PreparedNote, code: string = OK): Decision<never> {
  return { accepted: true, audit: transaction.audit(note, 'allowed', code) };
}

function refuse<Refusal extends string>(
  transaction: Transaction,
  note: PreparedNote,
  refusal: Refusal,
  holder: HostHolder | null = null,
): Decision<Refusal> {
  return { accepted: false, refusal, audit: transaction.audit(note, 'refused', refusal), holder };
}
