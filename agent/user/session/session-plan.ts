/** What a session needs, and when: which way it can be renewed, at which moment, what a failure means, whether a person has to act. Pure. */
import type { ControlSignInNeed } from '#protocol/control.ts';
import { CaError } from '../../ca/ca-error.ts';
import { printable } from '../../ca/foreign-text.ts';
import type { Failure } from '../../failure.ts';
import { backOffSeconds } from '../../schedule/back-off.ts';
import { renewalDueAt } from '../../schedule/due.ts';
import type { HeldCertificate, RenewalTrouble, Session } from './session.ts';

export type RenewalWay = 'refresh-token' | 'proof-of-possession';

/** How often to look whether the operator of the CA decided otherwise. */
const REFUSED_PAUSE_SECONDS = 6 * 3600;
/** Between two renewals of one session, however short its certificates are. */
const MIN_INTERVAL_MS = 3000;

/** What nobody but a person at the provider or the CA mends. */
const finalCodes: ReadonlySet<string> = new Set([
  'session-ended',
  'refresh-unusable',
  'nonce-missing',
  'provisioner-unusable',
  'no-provisioner',
  'not-bootstrapped',
  'certificate-not-ours',
]);
/** Refusals of the CA that pass: a clock, or an ID token that was too old when it came. */
const passingRefusals: ReadonlySet<string> = new Set(['token-expired', 'token-not-yet-valid', 'token-used']);

/** When the certificate is to be renewed, epoch milliseconds: at two thirds of what was left of it when it came, spread. */
export function dueAt({ certificate, obtainedAt }: HeldCertificate): number {
  const { validBefore, blob } = certificate;
  const validAfter = BigInt(Math.floor(obtainedAt / 1000)); // its own is dated back by the CA
  if (validBefore <= validAfter) return obtainedAt;
  return Math.max(Number(renewalDueAt({ validAfter, validBefore, blob })) * 1000, obtainedAt + MIN_INTERVAL_MS);
}

/** Epoch milliseconds. */
export function endOf({ certificate }: HeldCertificate): number {
  return Number(certificate.validBefore) * 1000;
}

/** @param now epoch milliseconds */
export function isValid({ held }: Pick<Session, 'held'>, now: number): boolean {
  return held !== undefined && now < endOf(held);
}

/** The ways without the person, the better first. A refresh token asks the provider who the person is today; the key alone asks nobody. */
export function renewalWays(session: Session, now: number): RenewalWay[] {
  const byToken = session.refreshToken !== undefined && session.refreshUnusable !== true;
  // an expired certificate renews only by a grant, which the CA knows of and we do not
  const byKey = session.provisioner?.client.renewal !== undefined && isValid(session, now);
  return [...(byToken ? (['refresh-token'] as const) : []), ...(byKey ? (['proof-of-possession'] as const) : [])];
}

/** Epoch milliseconds of the next attempt; undefined when there is no way, or no sense in one. */
export function plannedAt(session: Session, now: number): number | undefined {
  if (renewalWays(session, now).length === 0) return undefined;
  if (session.trouble !== undefined) return session.trouble.retryAt;
  return session.held === undefined ? now : dueAt(session.held);
}

/** @param failures in a row, this one included @param now epoch milliseconds @param random from 0 on and below 1 */
export function judgeFailure(failure: Failure, failures: number, now: number, random: number): RenewalTrouble {
  const refusal = failure instanceof CaError ? failure.refusal : undefined;
  const refused = refusal !== undefined && refusal.status < 500 && refusal.status !== 429 && refusal.status !== 408;
  const needsPerson = finalCodes.has(failure.code) || (refused && !passingRefusals.has(refusal.code));
  const asked = Math.min(refusal?.retryAfterSeconds ?? 0, REFUSED_PAUSE_SECONDS);
  const pause = needsPerson ? REFUSED_PAUSE_SECONDS : Math.max(asked, backOffSeconds(failures, random));
  return {
    code: failure.code === 'ca-refused' && refusal !== undefined ? refusal.code : failure.code,
    message: failure.message,
    ...(failure.advice === undefined ? {} : { advice: failure.advice }),
    at: now,
    failures,
    needsPerson,
    retryAt: now + pause * 1000,
  };
}

/** The question that waits for the person; undefined when there is none. @param now epoch milliseconds */
export function signInNeed(session: Session, now: number): ControlSignInNeed | undefined {
  const { held, trouble } = session;
  if (trouble?.needsPerson !== true) {
    // told in time: what has no way to renew is to be renewed at the same moment as what has one
    if (renewalWays(session, now).length > 0 || (held !== undefined && now < dueAt(held))) return undefined;
  }
  const valid = isValid(session, now);
  return {
    since: trouble?.at ?? (held === undefined ? session.signedInAt : valid ? dueAt(held) : endOf(held)),
    reason: valid ? 'ending' : 'ended',
    ca: session.caUrl,
    provisioner: printable(session.provisionerName, 64),
    ...(trouble === undefined ? {} : { failure: failureOf(trouble) }),
  };
}

export function failureOf({ code, message, advice }: RenewalTrouble) {
  return { code, message: message.slice(0, 4096), ...(advice === undefined ? {} : { advice: advice.slice(0, 4096) }) };
}
