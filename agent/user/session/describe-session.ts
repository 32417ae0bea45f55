/** A session as the control API tells it: no secret, no raw foreign text. Pure. */
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import type { ControlSession } from '#protocol/control.ts';
import { printable } from '../../ca/foreign-text.ts';
import type { HeldCertificate, Session } from './session.ts';
import { endOf, failureOf, plannedAt, renewalWays } from './session-plan.ts';

/** @param now epoch milliseconds */
export function describeSession(session: Session, now: number): ControlSession {
  const { id, caUrl, provisionerName, signedInAt, held, trouble, refreshToken, storedIn } = session;
  const planned = plannedAt(session, now);
  return {
    id,
    ca: caUrl.slice(0, 1024),
    provisioner: printable(provisionerName, 64),
    signedInAt,
    ...(held === undefined ? {} : { certificate: describeHeld(held) }),
    renewal: {
      way: renewalWays(session, now)[0] ?? 'none',
      ...(planned === undefined ? {} : { plannedAt: Math.round(planned) }),
      ...(trouble === undefined ? {} : { failure: failureOf(trouble), failedAt: trouble.at }),
    },
    refreshToken: refreshToken === undefined ? 'none' : storedIn,
  };
}

function describeHeld(held: HeldCertificate): NonNullable<ControlSession['certificate']> {
  const { keyId, serial, principals, key, validAfter } = held.certificate;
  return {
    keyId: printable(keyId, 256),
    serial: String(serial),
    principals: principals.map((each) => printable(each, 256)),
    fingerprint: fingerprintOf(encodePublicKey(key)),
    validAfter: Number(validAfter) * 1000,
    expiresAt: endOf(held),
  };
}
