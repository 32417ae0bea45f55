/**
 * What the audit log says about one decision. A *note* is what the caller knows before the store decides: who, what,
 * when. The store adds the outcome, the code and the place in the chain, in the transaction that decides, so that
 * nothing is decided without an entry and no entry says other than what was decided.
 */
import type { CertificateType } from '#openssh/certificate.ts';
import { type JsonObject, canonicalJson } from './canonical-json.ts';

/** `allowed` and `refused` are decisions; `failed` is a fault on the way, such as an HSM that did not sign. */
export type AuditOutcome = 'allowed' | 'refused' | 'failed';

/** What an entry is about and who asked. All optional; text at most {@link MAX_SUBJECT_LENGTH} UTF-16 units, no NUL. */
export interface AuditSubject {
  readonly type?: CertificateType | null;
  /** The host's name or the user's ID. */
  readonly name?: string | null;
  readonly serial?: bigint | null;
  readonly keyFingerprint?: string | null;
  readonly provisioner?: string | null;
  /** The address that the request came from. */
  readonly requester?: string | null;
  /** The administrator or the command that acted. */
  readonly actor?: string | null;
  readonly requestId?: string | null;
}

export interface AuditNote {
  /** Epoch seconds. */
  readonly time: bigint;
  /** What was to be decided, in kebab-case: `certificate-issue`, `host-clear`. */
  readonly action: string;
  readonly subject: AuditSubject;
  readonly details?: JsonObject;
}

/** A note with its verdict, for what the caller decided itself. `code` is `ok` or a stable reason, in kebab-case. */
export interface AuditStatement extends AuditNote {
  readonly outcome: AuditOutcome;
  readonly code: string;
}

/** A checked note, ready for the store: details are canonical JSON text. */
export interface PreparedNote {
  readonly time: bigint;
  readonly action: string;
  readonly subject: Required<AuditSubject>;
  readonly details: string;
}

export interface PreparedStatement extends PreparedNote {
  readonly outcome: AuditOutcome;
  readonly code: string;
}

/** An entry as the store keeps it; `sequence` counts from 1 without a gap. */
export interface AuditEntry extends PreparedStatement {
  readonly sequence: bigint;
  /** 32 bytes: see `chain.ts`. */
  readonly hash: Uint8Array;
}

export const MAX_SUBJECT_LENGTH = 1024;
export const MAX_DETAILS_LENGTH = 16 * 1024;
const MAX_TIME = 2n ** 53n;
const word = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const MAX_WORD_LENGTH = 64;

/** @throws TypeError when the caller's note breaks a bound or is no canonical JSON */
export function prepareNote({ time, action, subject, details }: AuditNote): PreparedNote {
  if (time < 0n || time > MAX_TIME) throw new TypeError('audit time is not in epoch seconds');
  checkWord('action', action);
  const json = canonicalJson(details ?? {});
  if (json.length > MAX_DETAILS_LENGTH) throw new TypeError(`audit details longer than ${MAX_DETAILS_LENGTH}`);
  return { time, action, subject: prepareSubject(subject), details: json };
}

/** @throws TypeError as {@link prepareNote} */
export function prepareStatement(statement: AuditStatement): PreparedStatement {
  checkWord('code', statement.code);
  const { outcome, code } = statement;
  return { ...prepareNote(statement), outcome, code };
}

function prepareSubject(subject: AuditSubject): Required<AuditSubject> {
  const { type = null, name = null, serial = null, keyFingerprint = null } = subject;
  const { provisioner = null, requester = null, actor = null, requestId = null } = subject;
  for (const text of [name, keyFingerprint, provisioner, requester, actor, requestId]) checkText(text);
  if (serial !== null && BigInt.asUintN(64, serial) !== serial) throw new TypeError('audit serial is no uint64');
  return { type, name, serial, keyFingerprint, provisioner, requester, actor, requestId };
}

function checkText(text: string | null): void {
  if (text === null) return;
  if (text.length > MAX_SUBJECT_LENGTH) throw new TypeError(`audit subject longer than ${MAX_SUBJECT_LENGTH}`);
  if (!text.isWellFormed() || text.includes('\0')) throw new TypeError('audit subject is not plain text');
}

function checkWord(what: string, text: string): void {
  if (text.length > MAX_WORD_LENGTH || !word.test(text)) throw new TypeError(`audit ${what} is not in kebab-case`);
}
