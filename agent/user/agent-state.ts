/** All that the agent knows, and what one connection to it has told: the state that requests are decided on. No sockets. */
import type { AgentLock } from './agent-lock.ts';
import type { IdentityChoice } from './identity-choice.ts';
import type { IdentitySource } from './identity-source.ts';
import type { IdentityStore } from './identity-store.ts';
import type { SessionBindings } from './session-bindings.ts';

export interface AgentPolicy {
  /** For keys added without a lifetime; undefined: for ever. */
  readonly defaultLifetimeSeconds?: number | undefined;
  /** Pattern list of middleware paths for security keys. */
  readonly allowedProviders: string;
}

export interface AgentState {
  readonly store: IdentityStore;
  readonly lock: AgentLock;
  readonly choice: IdentityChoice;
  readonly policy: AgentPolicy;
  /** True when other agents stand behind this one. */
  readonly hasUpstreams: boolean;
  readonly source?: IdentitySource;
  /** The canonical path of a file, or undefined when there is none. */
  readonly canonicalPath: (path: string) => string | undefined;
  /** Fresh random bytes. */
  readonly random: (length: number) => Uint8Array;
}

export interface Peer {
  readonly uid: number;
  /** 0 where the platform does not tell. */
  readonly pid: number;
}

export interface ConnectionState {
  readonly bindings: SessionBindings;
  /** Undefined where the platform does not tell. */
  readonly peer?: Peer | undefined;
}
