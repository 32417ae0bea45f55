/**
 * The seam for what can bring identities by itself: the sign-in. The agent asks it when a client lists identities and
 * nothing of the source is valid any more, and waits, bounded; the daemon never depends on the answer coming.
 */
import type { IdentityStore } from './identity-store.ts';
import type { SessionBindings } from './session-bindings.ts';

export interface IdentitySource {
  /** True when a sign-in would bring an identity that is missing now. Called on every listing: must be cheap. @param bindings of the connection that lists */
  isWanted(store: IdentityStore, bindings: SessionBindings): boolean;
  /** Brings it into the store; rejects or returns without one when that fails. Calls may overlap: the source shares one attempt. */
  provide(store: IdentityStore, bindings: SessionBindings, signal: AbortSignal): Promise<void>;
}
