/**
 * Requests, checked and ready to cross to the writer: every bound held, audit notes canonical, bytes in arrays of their
 * own (structured clone copies the whole buffer behind a view, and Node pools its Buffers). Pure.
 * A request that breaks a bound is the caller's mistake: a TypeError, before anything is queued.
 */
import { type AuditNote, type AuditStatement, type PreparedNote, type PreparedStatement } from '../audit/entry.ts';
import { prepareNote, prepareStatement } from '../audit/entry.ts';
import {
  type AbandonedIntent,
  type ClearHostRequest,
  type ConsumeRequest,
  type HostBinding,
  type HostTokenRequest,
  type IssuanceIntent,
  type IssuanceResult,
  MAX_SIGNED_BYTES_LENGTH,
  type PruneRequest,
  type SingleUse,
  type TokenRequest,
} from './decisions.ts';

import type { RenewalIntent } from './lineage-decisions.ts';
import { MAX_CLAIMS_LENGTH, MAX_IDENTITY_LENGTH, type SignIn } from './user-decisions.ts';

export type Prepared<Request extends { readonly audit: AuditNote }> = Omit<Request, 'audit'> & {
  readonly audit: PreparedNote;
};

export const MAX_ID_LENGTH = 256;
export const MAX_NAME_LENGTH = 1024;
const MAX_KEY_ID_LENGTH = 16 * 1024;
const MAX_LIST_LENGTH = 256;
const MAX_SIGNATURE_LENGTH = 16 * 1024;
const MAX_STATEMENTS = 1000;
const MAX_PRUNE = 10_000;
const MAX_TIME = 2n ** 53n;

export function prepareToken({ token, audit }: TokenRequest): Prepared<TokenRequest> {
  checkUse(token);
  return { token, audit: prepareNote(audit) };
}

export function prepareConsume({ token, audit }: ConsumeRequest): Prepared<ConsumeRequest> {
  checkUse(token);
  return { token, audit: prepareNote(audit) };
}

export function prepareHostToken({ nonce, token, host, audit }: HostTokenRequest): Prepared<HostTokenRequest> {
  checkUse(nonce);
  checkUse(token);
  checkHost(host);
  return { nonce, token, host, audit: prepareNote(audit) };
}

export function prepareIntent(intent: IssuanceIntent): Prepared<IssuanceIntent> {
  const { now, lineage, predecessor, token, host, signIn } = intent;
  if (predecessor !== null) checkSerial(predecessor);
  checkTime(now);
  if (lineage !== null) checkText('lineage', lineage, MAX_ID_LENGTH);
  if (token !== null) checkUse(token);
  if (host !== null) checkHost(host);
  if (signIn !== undefined) checkSignIn(signIn);
  if (signIn !== undefined && lineage === null) throw new TypeError('a sign-in begins a session');
  return { ...intent, ...prepareCertificate(intent), audit: prepareNote(intent.audit) };
}

/** What is to be signed, whatever allows it. */
export function prepareCertificate<Intent extends RenewalIntent>(intent: Intent): Intent {
  const { serial, validAfter, validBefore } = intent;
  checkSerial(serial);
  for (const time of [validAfter, validBefore]) checkTime(time);
  if (validAfter >= validBefore) throw new TypeError('validBefore is not after validAfter');
  checkText('keyFingerprint', intent.keyFingerprint, MAX_ID_LENGTH);
  checkText('keyId', intent.keyId, MAX_KEY_ID_LENGTH);
  checkList('principals', intent.principals);
  checkText('provisioner', intent.provisioner, MAX_NAME_LENGTH);
  checkText('requester', intent.requester, MAX_NAME_LENGTH);
  return { ...intent, signedBytes: ownBytes('signedBytes', intent.signedBytes, MAX_SIGNED_BYTES_LENGTH) };
}

export function prepareResult({ serial, certificate, now, audit }: IssuanceResult): Prepared<IssuanceResult> {
  checkSerial(serial);
  checkTime(now);
  const bytes = ownBytes('certificate', certificate, MAX_SIGNED_BYTES_LENGTH + MAX_SIGNATURE_LENGTH);
  return { serial, certificate: bytes, now, audit: prepareNote(audit) };
}

export function prepareAbandoned({ serial, now, token = null, audit }: AbandonedIntent): Prepared<AbandonedIntent> {
  checkSerial(serial);
  checkTime(now);
  if (token !== null) checkUse(token);
  return { serial, now, token, audit: prepareNote(audit) };
}

export function prepareClear({ name, now, audit }: ClearHostRequest): Prepared<ClearHostRequest> {
  checkText('name', name, MAX_NAME_LENGTH);
  checkTime(now);
  return { name, now, audit: prepareNote(audit) };
}

export function prepareStatements(statements: readonly AuditStatement[]): readonly PreparedStatement[] {
  if (statements.length === 0 || statements.length > MAX_STATEMENTS)
    throw new TypeError(`expected 1 to ${MAX_STATEMENTS} audit statements`);
  return statements.map(prepareStatement);
}

export function preparePrune({ now, leewaySeconds, limit }: PruneRequest): PruneRequest {
  checkTime(now);
  if (leewaySeconds < 0n || leewaySeconds > now) throw new TypeError('leewaySeconds is out of range');
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PRUNE) throw new TypeError(`limit is 1 to ${MAX_PRUNE}`);
  return { now, leewaySeconds, limit };
}

export function checkSerial(serial: bigint): void {
  if (serial < 1n || serial > 0xffff_ffff_ffff_ffffn) throw new TypeError('a serial is 1 to 2^64 - 1');
}

export function checkTime(time: bigint): void {
  if (time < 0n || time > MAX_TIME) throw new TypeError('a time is not in epoch seconds');
}

export function checkUse({ id, expiresAt }: SingleUse): void {
  checkText('id', id, MAX_ID_LENGTH);
  checkTime(expiresAt);
}

function checkHost({ enrolment, names, addresses, keyFingerprint, vouchedBy }: HostBinding): void {
  checkText('enrolment', enrolment, MAX_ID_LENGTH);
  checkList('names', names);
  checkList('addresses', addresses);
  checkText('keyFingerprint', keyFingerprint, MAX_ID_LENGTH);
  if (vouchedBy !== null) checkText('vouchedBy', vouchedBy, MAX_ID_LENGTH);
}

function checkSignIn({ identity, claims }: SignIn): void {
  checkText('identity', identity, MAX_IDENTITY_LENGTH);
  if (claims !== null) checkText('claims', claims, MAX_CLAIMS_LENGTH);
}

export function checkList(what: string, list: readonly string[]): void {
  if (list.length === 0 || list.length > MAX_LIST_LENGTH) throw new TypeError(`${what}: 1 to ${MAX_LIST_LENGTH}`);
  for (const item of list) checkText(what, item, MAX_NAME_LENGTH);
}

/** Text that every database gives back as it was: 1 to `maxLength` UTF-16 units, well formed, no NUL. */
export function checkText(what: string, text: string, maxLength: number): void {
  if (text.length === 0 || text.length > maxLength) throw new TypeError(`${what} has 1 to ${maxLength} characters`);
  if (!text.isWellFormed() || text.includes('\0')) throw new TypeError(`${what} is not plain text`);
}

export function ownBytes(what: string, bytes: Uint8Array, maxLength: number): Uint8Array {
  if (bytes.length === 0 || bytes.length > maxLength) throw new TypeError(`${what} has 1 to ${maxLength} bytes`);
  return new Uint8Array(bytes);
}
