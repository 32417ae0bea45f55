/**
 * The whole agent as one call: state, connection, request message and moment in; reply, or what must be done first, out.
 * No socket, file or clock is touched here.
 * Every malformed or unknown request is a failure reply; nothing that a client sends ends the process.
 */
import { extensionNames } from '#openssh/agent-number.ts';
import { encodeQueryReply } from '#openssh/agent-reply.ts';
import { type AgentRequest, type ExtensionRequest, decodeAgentRequest } from '#openssh/agent-request.ts';
import { FormatError } from '#openssh/format-error.ts';
import { addIdentity } from './add-identity.ts';
import type { AgentState, ConnectionState } from './agent-state.ts';
import { findVisibilityRefusal } from './destination-decision.ts';
import { identityId } from './identity.ts';
import { listIdentities, noIdentities } from './list-identities.ts';
import type { Moment } from './moment.ts';
import { type Outcome, extensionFailure, failure, success } from './outcome.ts';
import { decideSign } from './sign-request.ts';

const SALT_LENGTH = 16;
const queryReply = encodeQueryReply([extensionNames.query, extensionNames.sessionBind]);

/** @param message one whole message, without its length field. Messages that bring a secret are wiped. */
export function handleRequest(
  agent: AgentState,
  connection: ConnectionState,
  message: Uint8Array,
  now: Moment,
): Outcome {
  agent.store.expire(now);
  const request = decode(message);
  if (request === undefined) return failure;
  const outcome = decide(agent, connection, request, message, now);
  if (request.type === 'add') message.fill(0);
  return outcome;
}

function decode(message: Uint8Array): AgentRequest | undefined {
  try {
    return decodeAgentRequest(message);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function decide(
  agent: AgentState,
  connection: ConnectionState,
  request: AgentRequest,
  message: Uint8Array,
  now: Moment,
): Outcome {
  if (agent.lock.isLocked) return decideLocked(agent, connection, request, now);
  switch (request.type) {
    case 'sign':
      return decideSign(agent, connection, request, message, now);
    case 'list':
      return listIdentities(agent, connection, now);
    case 'add':
      return addIdentity(agent, connection, request, now) ? success : failure;
    case 'remove':
      return removeIdentity(agent, connection, request.keyBlob, now) ? success : failure;
    case 'remove-all':
      agent.store.clear();
      return success;
    case 'lock':
      return lockAgent(agent, request.passphrase) ? success : failure;
    case 'extension':
      return decideExtension(connection, request);
    case 'unlock':
    case 'smartcard':
    case 'unknown':
      return failure;
  }
}

/** Binds are taken while locked, or a forwarded connection would pass for a local one afterwards (OpenSSH 6a57081dc). */
function decideLocked(agent: AgentState, connection: ConnectionState, request: AgentRequest, now: Moment): Outcome {
  if (request.type === 'unlock') return unlockAgent(agent, request.passphrase, now);
  if (request.type === 'list') return noIdentities;
  if (request.type === 'extension' && request.name === extensionNames.sessionBind)
    return decideExtension(connection, request);
  return failure;
}

function decideExtension(connection: ConnectionState, { name, contents }: ExtensionRequest): Outcome {
  if (name === extensionNames.sessionBind) return connection.bindings.bind(contents) ? success : extensionFailure;
  if (name === extensionNames.query && contents.length === 0) return queryReply;
  // RFC 9987 section 5.8: an extension that is not supported at all gets the plain failure
  return failure;
}

function removeIdentity(agent: AgentState, { bindings }: ConnectionState, keyBlob: Uint8Array, now: Moment): boolean {
  const identity = agent.store.find(identityId(keyBlob));
  if (identity === undefined || findVisibilityRefusal(identity, bindings, now) !== undefined) return false;
  return agent.store.remove(identity.id);
}

function lockAgent(agent: AgentState, passphrase: Uint8Array): boolean {
  const isLocked = agent.lock.lock(passphrase, agent.random(SALT_LENGTH));
  passphrase.fill(0);
  return isLocked;
}

function unlockAgent(agent: AgentState, passphrase: Uint8Array, now: Moment): Outcome {
  const result = agent.lock.unlock(passphrase, now);
  if (typeof result === 'object')
    return {
      effect: 'wait',
      untilMonotonicMs: result.retryAtMonotonicMs,
      again: (later) => unlockAgent(agent, passphrase, later),
    };
  passphrase.fill(0);
  return result === 'unlocked' ? success : failure;
}
