/** The agent's state as the control API tells it: no secret, no raw foreign text. */
import { type Certificate, INFINITE_VALIDITY } from '#openssh/certificate.ts';
import type { DestinationConstraint } from '#openssh/agent-destination.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { keyTypes } from '#openssh/key-type.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import type { ControlIdentity, ControlSshConfig, ControlState } from '#protocol/control.ts';
import { version } from '#protocol/version.ts';
import type { AgentState } from './agent-state.ts';
import type { ConfirmationQueue } from './confirmation-queue.ts';
import { type Identity, displayText } from './identity.ts';
import type { SignInService } from './session/sign-in-service.ts';
import type { UpstreamAgents } from './upstream-agents.ts';

export interface DescribedParts {
  readonly agent: AgentState;
  readonly queue: ConfirmationQueue;
  readonly upstreams: UpstreamAgents;
  readonly signIn: SignInService;
  readonly sshConfig: ControlSshConfig | undefined;
  readonly protection: ControlState['protection'];
  readonly startedAt: number;
  readonly socket: string;
}

/** While the agent is locked its identities are not told. */
export function describeState(parts: DescribedParts): ControlState {
  const { agent, queue, upstreams, signIn, sshConfig, protection, startedAt, socket } = parts;
  const locked = agent.lock.isLocked;
  const monotonicNow = performance.now();
  const wallNow = Date.now();
  return {
    version,
    pid: process.pid,
    socket,
    startedAt,
    locked,
    protection,
    identities: locked ? [] : agent.store.all().map((each) => describeIdentity(each, wallNow - monotonicNow)),
    questions: [...queue.questions],
    upstreams: upstreams.describe(),
    signIn: locked ? { ...signIn.describe(), sessions: [] } : signIn.describe(),
    ...(sshConfig === undefined ? {} : { sshConfig }),
  };
}

/** @param clockDifference wall clock less monotonic clock, in milliseconds */
function describeIdentity(identity: Identity, clockDifference: number): ControlIdentity {
  const { certificate, endsMonotonicMs = Infinity, endsEpochMs = Infinity } = identity;
  const endsAt = Math.min(endsMonotonicMs + clockDifference, endsEpochMs);
  return {
    fingerprint: identity.fingerprint,
    kind: `${keyTypes[identity.publicKey.type].label}${certificate === undefined ? '' : '-CERT'}`,
    comment: displayText(identity.comment),
    confirm: identity.confirm,
    destinations: identity.destinations.map(describeDestination),
    ...(endsAt === Infinity ? {} : { endsAt: Math.round(endsAt) }),
    ...(certificate === undefined ? {} : { certificate: describeCertificate(certificate) }),
  };
}

function describeCertificate(certificate: Certificate): NonNullable<ControlIdentity['certificate']> {
  const { type, keyId, serial, principals, validAfter, validBefore, signatureKey } = certificate;
  return {
    type,
    keyId: clean(keyId),
    serial: String(serial),
    principals: principals.map(clean),
    validAfter: Number(validAfter) * 1000,
    ...(validBefore === INFINITE_VALIDITY ? {} : { validBefore: Number(validBefore) * 1000 }),
    caFingerprint: fingerprintOf(encodePublicKey(signatureKey)),
  };
}

function describeDestination({ from, to }: DestinationConstraint): string {
  const target = to.user === '' ? to.hostname : `${to.user}@${to.hostname}`;
  return clean(from.hostname === '' ? target : `${from.hostname} > ${target}`);
}

function clean(text: string): string {
  return displayText(new TextEncoder().encode(text));
}
