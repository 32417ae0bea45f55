/** Decides what a client sees when it lists identities (RFC 9987 section 5.4). */
import { type ListedIdentity, encodeIdentities } from '#openssh/agent-reply.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { FormatError } from '#openssh/format-error.ts';
import { MAX_ALGORITHM_NAME_LENGTH, keyTypeOfCertificateType } from '#openssh/key-type.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { WireReader } from '#openssh/wire.ts';
import type { AgentState, ConnectionState } from './agent-state.ts';
import { findVisibilityRefusal } from './destination-decision.ts';
import type { Candidate } from './identity-choice.ts';
import { type Identity, identityId } from './identity.ts';
import type { Moment } from './moment.ts';
import type { Outcome } from './outcome.ts';

export const noIdentities: Uint8Array = encodeIdentities([]);

/** The plain answer, for connections that are not bound, kept until the store changes. */
interface CachedAnswer {
  version: number;
  message: Uint8Array;
}
const cache = new WeakMap<AgentState, CachedAnswer>();

export function listIdentities(agent: AgentState, connection: ConnectionState, now: Moment): Outcome {
  if (agent.source?.isWanted(agent.store, connection.bindings) === true)
    return { effect: 'provide', again: (later) => listWhatIsThere(agent, connection, later) };
  return listWhatIsThere(agent, connection, now);
}

function listWhatIsThere(agent: AgentState, connection: ConnectionState, now: Moment): Outcome {
  if (agent.lock.isLocked) return noIdentities;
  if (!agent.hasUpstreams && !connection.bindings.wasAttempted) return plainAnswer(agent);
  const own = visibleCandidates(agent, connection, now);
  const { last } = connection.bindings;
  if (!agent.hasUpstreams) return encodeIdentities(agent.choice.choose(own, last));
  return {
    effect: 'list-upstreams',
    reply: (upstream) => encodeIdentities(agent.choice.choose(merged(own, upstream), last)),
  };
}

function plainAnswer(agent: AgentState): Uint8Array {
  const cached = cache.get(agent);
  if (cached?.version === agent.store.version) return cached.message;
  const message = encodeIdentities(agent.store.all());
  cache.set(agent, { version: agent.store.version, message });
  return message;
}

function visibleCandidates(agent: AgentState, connection: ConnectionState, now: Moment): Candidate[] {
  return agent.store
    .all()
    .filter((identity) => findVisibilityRefusal(identity, connection.bindings, now) === undefined)
    .map(candidateOf);
}

function candidateOf(identity: Identity): Candidate {
  const { blob, comment, fingerprint, wasExpired } = identity;
  return { blob, comment, fingerprint, wasExpired };
}

/** Ours first; of two with the same blob only the first. */
function merged(own: readonly Candidate[], upstream: readonly ListedIdentity[]): readonly Candidate[] {
  const seen = new Set(own.map(({ blob }) => identityId(blob)));
  const theirs = upstream.filter(({ blob }) => {
    const id = identityId(blob);
    if (seen.has(id)) return false;
    seen.add(id);
    return true;
  });
  return [...own, ...theirs.map(upstreamCandidate)];
}

/** Kinds of key that we do not know pass through as they are. */
function upstreamCandidate(listed: ListedIdentity): Candidate {
  return { ...listed, fingerprint: keyFingerprint(listed.blob), wasExpired: false };
}

function keyFingerprint(blob: Uint8Array): Fingerprint | undefined {
  try {
    const name = new WireReader(blob).text(MAX_ALGORITHM_NAME_LENGTH);
    if (keyTypeOfCertificateType(name) === undefined) return fingerprintOf(blob);
    return fingerprintOf(encodePublicKey(decodeCertificate(blob).key));
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
