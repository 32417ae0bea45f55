/**
 * Whether destination constraints allow a key on a connection (OpenSSH PROTOCOL.agent section 2): pure.
 * Every hop recorded on the connection must be allowed by a constraint, from the origin outwards. To see a key is less than
 * to use it: a signature also needs the user, the session and the host key in the signed bytes to be those of the last hop.
 */
import type { DestinationConstraint, DestinationHop } from '#openssh/agent-destination.ts';
import { recogniseSignedData } from '#openssh/agent-signed-data.ts';
import { type Certificate, INFINITE_VALIDITY } from '#openssh/certificate.ts';
import { equalBytes } from '#openssh/wire.ts';
import type { Identity } from './identity.ts';
import type { Moment } from './moment.ts';
import { matchesPattern } from './pattern.ts';
import type { SessionBinding, SessionBindings } from './session-bindings.ts';

/** Why not; for the log and for tests. */
export type DestinationRefusal =
  | 'bind-failed'
  | 'unbound'
  | 'not-a-login'
  | 'signing-at-a-forwarding-hop'
  | 'forwarded-past-authentication'
  | 'destination-not-allowed'
  | 'only-for-login-at-this-host'
  | 'other-session'
  | 'other-host-key'
  | 'no-host-key-in-request';

/** For listing and removing: undefined when the key may be seen here. */
export function findVisibilityRefusal(
  identity: Identity,
  bindings: SessionBindings,
  now: Moment,
): DestinationRefusal | undefined {
  if (identity.destinations.length === 0) return undefined;
  if (bindings.hops.length === 0) return bindings.wasAttempted ? 'bind-failed' : undefined;
  const refusal = walkHops(identity.destinations, bindings.hops, now);
  if (refusal !== undefined) return refusal;
  const last = bindings.last;
  const mayGoOn = last?.isForwarding !== true || identity.destinations.some((each) => comesFrom(each, last, now));
  return mayGoOn ? undefined : 'only-for-login-at-this-host';
}

/** For signing: undefined when these bytes may be signed here. */
export function findSigningRefusal(
  identity: Identity,
  bindings: SessionBindings,
  data: Uint8Array,
  now: Moment,
): DestinationRefusal | undefined {
  if (identity.destinations.length === 0) return undefined;
  const last = bindings.last;
  if (last === undefined) return bindings.wasAttempted ? 'bind-failed' : 'unbound';
  const request = recogniseSignedData(data);
  if (request?.kind !== 'userauth' || !equalBytes(request.keyBlob, identity.blob)) return 'not-a-login';
  if (last.isForwarding) return 'signing-at-a-forwarding-hop';
  const refusal = walkHops(identity.destinations, bindings.hops, now, request.user);
  if (refusal !== undefined) return refusal;
  if (!equalBytes(request.sessionId, last.sessionId)) return 'other-session';
  if (request.hostKeyBlob === undefined) return bindings.hops.length > 1 ? 'no-host-key-in-request' : undefined;
  return equalBytes(request.hostKeyBlob, last.hostKey.blob) ? undefined : 'other-host-key';
}

function walkHops(
  constraints: readonly DestinationConstraint[],
  hops: readonly SessionBinding[],
  now: Moment,
  user?: string,
): DestinationRefusal | undefined {
  for (const [index, hop] of hops.entries()) {
    const isLast = index === hops.length - 1;
    if (!isLast && !hop.isForwarding) return 'forwarded-past-authentication';
    const from = hops[index - 1];
    const isAllowed = constraints.some(
      (each) => comesFrom(each, from, now) && goesTo(each, hop, now, isLast ? user : undefined),
    );
    if (!isAllowed) return 'destination-not-allowed';
  }
  return undefined;
}

function comesFrom(constraint: DestinationConstraint, from: SessionBinding | undefined, now: Moment): boolean {
  if (from === undefined) return constraint.from.hostname === '' && constraint.from.keys.length === 0;
  return isHost(constraint.from, from, now);
}

function goesTo(constraint: DestinationConstraint, to: SessionBinding, now: Moment, user?: string): boolean {
  if (!isHost(constraint.to, to, now)) return false;
  return user === undefined || constraint.to.user === '' || matchesPattern(user, constraint.to.user);
}

function isHost(hop: DestinationHop, { hostKey, caBlob }: SessionBinding, now: Moment): boolean {
  return hop.keys.some(({ blob, isCa }) => {
    if (!isCa) return equalBytes(blob, hostKey.blob);
    const { certificate } = hostKey;
    if (certificate === undefined || caBlob === undefined || !equalBytes(blob, caBlob)) return false;
    return isCertificateFor(certificate, hop.hostname, now);
  });
}

/** Its signature was verified when the connection was bound. */
function isCertificateFor(certificate: Certificate, hostname: string, now: Moment): boolean {
  const seconds = BigInt(Math.floor(now.epochMs / 1000));
  const { validAfter, validBefore } = certificate;
  if (seconds < validAfter || (validBefore !== INFINITE_VALIDITY && seconds >= validBefore)) return false;
  if (certificate.type !== 'host' || certificate.criticalOptions.length > 0) return false;
  const name = hostname.toLowerCase();
  return certificate.principals.some((principal) => matchesPattern(name, principal.toLowerCase()));
}
