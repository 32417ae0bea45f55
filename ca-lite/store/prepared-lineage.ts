/** Requests about lineages, grants and revocations, checked and ready to cross to the writer: see `prepared.ts`. */
import { prepareNote } from '../audit/entry.ts';
import { MAX_SIGNED_BYTES_LENGTH } from './decisions.ts';
import { type EndGrantRequest, type GrantRequest, MAX_GRANT_USES } from './grant-decisions.ts';
import {
  type HostReport,
  MAX_TRUSTED_CAS,
  type Presented,
  type RenewalRequest,
  type ReportRequest,
  type ResolveRequest,
} from './lineage-decisions.ts';
import {
  MAX_ID_LENGTH,
  MAX_NAME_LENGTH,
  type Prepared,
  checkSerial,
  checkText,
  checkTime,
  checkUse,
  ownBytes,
  prepareCertificate,
} from './prepared.ts';
import { MAX_REASON_LENGTH, type RevokeRequest } from './revocation-decisions.ts';
import { MAX_SESSION_RENEWALS, type UserRenewalRequest } from './user-decisions.ts';

const MAX_KRL_NUMBER = 2n ** 63n - 1n;
const MAX_POLICY_CODE_LENGTH = 64;

export function prepareRenewal(request: RenewalRequest): Prepared<RenewalRequest> {
  const { token, presented, intent, policyRefusal, audit } = request;
  checkUse(token);
  checkPresented(presented);
  if ((intent === null) !== (policyRefusal !== null)) throw new TypeError('either an intent or why there is none');
  if (policyRefusal !== null) checkText('policyRefusal', policyRefusal, MAX_POLICY_CODE_LENGTH);
  return { ...request, intent: intent === null ? null : prepareCertificate(intent), audit: prepareNote(audit) };
}

export function prepareUserRenewal(request: UserRenewalRequest): Prepared<UserRenewalRequest> {
  const { token, serial, now, intent, policyRefusal, sameEnd, maxRenewals, audit } = request;
  checkUse(token);
  checkSerial(serial);
  checkTime(now);
  if ((intent === null) !== (policyRefusal !== null)) throw new TypeError('either an intent or why there is none');
  if (policyRefusal !== null) checkText('policyRefusal', policyRefusal, MAX_POLICY_CODE_LENGTH);
  if (!Number.isInteger(maxRenewals) || maxRenewals < 0 || maxRenewals > MAX_SESSION_RENEWALS)
    throw new TypeError(`a session has at most ${MAX_SESSION_RENEWALS} renewals`);
  const end = ownBytes('sameEnd', sameEnd, MAX_SIGNED_BYTES_LENGTH);
  const prepared = intent === null ? null : prepareCertificate(intent);
  return { ...request, intent: prepared, sameEnd: end, audit: prepareNote(audit) };
}

export function prepareReport(request: ReportRequest): Prepared<ReportRequest> {
  checkUse(request.token);
  checkPresented(request.presented);
  checkReport(request.report);
  return { ...request, audit: prepareNote(request.audit) };
}

export function prepareResolve(request: ResolveRequest): Prepared<ResolveRequest> {
  checkText('lineage', request.lineage, MAX_ID_LENGTH);
  if (request.keep !== null) checkSerial(request.keep);
  checkTime(request.now);
  return { ...request, audit: prepareNote(request.audit) };
}

export function prepareGrant(request: GrantRequest): Prepared<GrantRequest> {
  const { value, uses, expiresAt, now, createdBy } = request;
  checkText('value', value, MAX_NAME_LENGTH);
  checkText('createdBy', createdBy, MAX_NAME_LENGTH);
  for (const time of [expiresAt, now]) checkTime(time);
  if (expiresAt <= now) throw new TypeError('a grant ends after it was made');
  if (!Number.isInteger(uses) || uses < 1 || uses > MAX_GRANT_USES)
    throw new TypeError(`a grant has 1 to ${MAX_GRANT_USES} uses`);
  return { ...request, audit: prepareNote(request.audit) };
}

export function prepareEndGrant(request: EndGrantRequest): Prepared<EndGrantRequest> {
  checkText('endedBy', request.endedBy, MAX_NAME_LENGTH);
  checkTime(request.now);
  if (request.grant < 1n || request.grant > MAX_KRL_NUMBER) throw new TypeError('no number of a grant');
  return { ...request, audit: prepareNote(request.audit) };
}

export function prepareRevoke(request: RevokeRequest): Prepared<RevokeRequest> {
  const { target, reason, now, revokedBy, token } = request;
  checkTime(now);
  checkText('revokedBy', revokedBy, MAX_NAME_LENGTH);
  if (reason !== '') checkText('reason', reason, MAX_REASON_LENGTH);
  if (token !== null) checkUse(token);
  if (target.kind === 'serial') checkSerial(target.serial);
  else if (target.kind === 'key') checkText('keyFingerprint', target.keyFingerprint, MAX_ID_LENGTH);
  else checkText('name', target.kind === 'host' ? target.name : target.keyId, MAX_NAME_LENGTH);
  return { ...request, audit: prepareNote(request.audit) };
}

function checkPresented({ serial, signedAt, requester, now, graceSeconds }: Presented): void {
  checkSerial(serial);
  for (const time of [signedAt, now, graceSeconds]) checkTime(time);
  checkText('requester', requester, MAX_NAME_LENGTH);
}

function checkReport({ agentVersion, trustedHostCas, trustedUserCas, krlNumber }: HostReport): void {
  checkText('agentVersion', agentVersion, MAX_ID_LENGTH);
  if (krlNumber < 0n || krlNumber > MAX_KRL_NUMBER) throw new TypeError('krlNumber is out of range');
  for (const list of [trustedHostCas, trustedUserCas]) {
    if (list.length > MAX_TRUSTED_CAS) throw new TypeError(`at most ${MAX_TRUSTED_CAS} CA keys`);
    for (const ca of list) checkText('CA key', ca, MAX_ID_LENGTH);
  }
}
