/** Decides whether a key may be added (RFC 9987 section 5.2), and adds it. */
import type { AddRequest } from '#openssh/agent-request.ts';
import type { AgentState, ConnectionState } from './agent-state.ts';
import { findVisibilityRefusal } from './destination-decision.ts';
import { type Identity, identityFrom } from './identity.ts';
import type { Moment } from './moment.ts';
import { isInPatternList } from './provider-policy.ts';

/** More than any person has; the list of identities must fit one message of 256 KiB. */
export const MAX_IDENTITIES = 1024;

/** True when the key was added, or replaced the one with the same blob. */
export function addIdentity(agent: AgentState, connection: ConnectionState, request: AddRequest, now: Moment): boolean {
  const provider = acceptedProvider(agent, connection, request);
  if (provider === undefined) return false;
  const identity = identityFrom({ ...request, constraints: { ...request.constraints, skProvider: provider } }, now, {
    lifetimeSeconds: agent.policy.defaultLifetimeSeconds,
  });
  const known = agent.store.find(identity.id);
  if (known === undefined && agent.store.size >= MAX_IDENTITIES) return false;
  if (known !== undefined && !mayReplace(known, connection, now)) return false;
  agent.store.add(identity);
  return true;
}

/** What a connection cannot see it cannot replace: its constraints would be lifted. */
function mayReplace(known: Identity, connection: ConnectionState, now: Moment): boolean {
  return findVisibilityRefusal(known, connection.bindings, now) === undefined;
}

/** The middleware to use; undefined when it is refused. */
function acceptedProvider(agent: AgentState, connection: ConnectionState, request: AddRequest): string | undefined {
  const { skProvider } = request.constraints;
  if (skProvider === undefined) return 'internal';
  if (request.fields.privateKey !== undefined) return undefined; // only security keys have one
  if (skProvider.toLowerCase() === 'internal') return 'internal';
  if (connection.bindings.wasAttempted) return undefined;
  const path = agent.canonicalPath(skProvider);
  return path !== undefined && isInPatternList(path, agent.policy.allowedProviders) ? path : undefined;
}
