/**
 * Decides a sign request (RFC 9987 section 5.6): which key, which algorithm, whether this connection may, whether the user
 * must be asked; and signs at once where that is fast.
 * Refused on purpose: unknown flags (section 5.6.1), RSA without a SHA-2 flag (it would mean SHA-1), security keys made for
 * the web signing anything that is not SSH.
 */
import { recogniseSignedData } from '#openssh/agent-signed-data.ts';
import { signFlags } from '#openssh/agent-number.ts';
import { encodeSignatureReply } from '#openssh/agent-reply.ts';
import type { SignRequest } from '#openssh/agent-request.ts';
import { type SignatureAlgorithm, keyTypes } from '#openssh/key-type.ts';
import type { AgentState, ConnectionState } from './agent-state.ts';
import { findSigningRefusal } from './destination-decision.ts';
import { type Identity, type IdentityId, identityId } from './identity.ts';
import type { Moment } from './moment.ts';
import { type Outcome, failure } from './outcome.ts';
import { questionSubject } from './question-subject.ts';
import { isFast, signNow } from './sign-with-identity.ts';

const KNOWN_FLAGS = signFlags.rsaSha256 | signFlags.rsaSha512;

export function decideSign(
  agent: AgentState,
  connection: ConnectionState,
  request: SignRequest,
  message: Uint8Array,
  now: Moment,
): Outcome {
  if ((request.flags & ~KNOWN_FLAGS) !== 0) return failure;
  const id = identityId(request.keyBlob);
  const identity = agent.store.find(id);
  if (identity === undefined) return agent.hasUpstreams ? passOn(agent, connection, request, message, id) : failure;
  const algorithm = algorithmFor(identity, request.flags);
  if (algorithm === undefined) return failure;
  if (findSigningRefusal(identity, connection.bindings, request.data, now) !== undefined) return failure;
  if (!isDataFitting(identity, request.data)) return failure;
  if (!identity.confirm) return signWith(agent, connection, identity, algorithm, request.data);
  return {
    effect: 'ask',
    subject: questionSubject(identity, connection, request.data),
    allowed: (later) => {
      agent.store.expire(later);
      // what was asked about may be gone, replaced or locked away by now
      if (agent.lock.isLocked || agent.store.find(id) !== identity) return failure;
      return signWith(agent, connection, identity, algorithm, request.data);
    },
  };
}

/** RFC 8332 for RSA; other keys have one algorithm, and clients may set the RSA flags without harm. */
function algorithmFor(identity: Identity, flags: number): SignatureAlgorithm | undefined {
  if (identity.publicKey.type !== 'ssh-rsa') return keyTypes[identity.publicKey.type].signatureAlgorithms[0];
  if ((flags & signFlags.rsaSha512) !== 0) return 'rsa-sha2-512';
  return (flags & signFlags.rsaSha256) === 0 ? undefined : 'rsa-sha2-256';
}

/** A key whose application is not `ssh:…` was made for web sites: it must not sign a web challenge for a forwarded client. */
function isDataFitting(identity: Identity, data: Uint8Array): boolean {
  if (!('application' in identity.publicKey) || identity.publicKey.application.startsWith('ssh:')) return true;
  return recogniseSignedData(data) !== undefined;
}

function signWith(
  agent: AgentState,
  connection: ConnectionState,
  identity: Identity,
  algorithm: SignatureAlgorithm,
  data: Uint8Array,
): Outcome {
  const { signer } = identity;
  if (signer.kind === 'software' && isFast(algorithm)) {
    const reply = encodeSignatureReply(signNow(signer.privateKey, algorithm, data));
    rememberHost(agent, connection, identity.id);
    return reply;
  }
  return { effect: 'sign', identity, algorithm, data, signed: () => rememberHost(agent, connection, identity.id) };
}

function passOn(
  agent: AgentState,
  connection: ConnectionState,
  { keyBlob }: SignRequest,
  message: Uint8Array,
  id: IdentityId,
): Outcome {
  return { effect: 'sign-upstream', keyBlob, message, signed: () => rememberHost(agent, connection, id) };
}

/** A client signs only after the host said that it takes the key. */
function rememberHost(agent: AgentState, { bindings }: ConnectionState, id: IdentityId): void {
  if (bindings.last?.isForwarding === false) agent.choice.remember(bindings.last, id);
}
