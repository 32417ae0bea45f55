/**
 * What an agent connection is bound to: the hops that `session-bind@openssh.com` recorded on it, in order (OpenSSH
 * PROTOCOL.agent section 1). A bind that fails poisons the connection for destination-constrained keys for ever (OpenSSH
 * 6d51feab1), unless a later one succeeds and the decision walks the hops.
 * Refused on purpose: more than 16 hops, a second host for one session, anything after a bind for authentication.
 */
import { type HostKey, decodeSessionBind, verifySessionBind } from '#openssh/agent-session-bind.ts';
import { FormatError } from '#openssh/format-error.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { equalBytes } from '#openssh/wire.ts';

export const MAX_BINDINGS = 16;
/** Binds that are kept for upstream agents; a connection that sends more cannot use those agents any more. */
export const MAX_RAW_BINDS = 2 * MAX_BINDINGS;

export interface SessionBinding {
  readonly hostKey: HostKey;
  /** The blob of the CA key, when the host showed a certificate. */
  readonly caBlob?: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly isForwarding: boolean;
}

export class SessionBindings {
  readonly #bindings: SessionBinding[] = [];
  readonly #raw: Uint8Array[] = [];
  #attempts = 0;

  /** From the origin outwards. */
  get hops(): readonly SessionBinding[] {
    return this.#bindings;
  }

  get last(): SessionBinding | undefined {
    return this.#bindings.at(-1);
  }

  /** True once any bind arrived, good or bad: the connection may come from another machine. */
  get wasAttempted(): boolean {
    return this.#attempts > 0;
  }

  /** The requests as they came, also failed ones, for upstream agents to judge by themselves; undefined after too many. */
  get raw(): readonly Uint8Array[] | undefined {
    return this.#attempts > MAX_RAW_BINDS ? undefined : this.#raw;
  }

  /** @param contents what follows the extension name. Returns whether the connection is bound now. */
  bind(contents: Uint8Array): boolean {
    this.#attempts++;
    if (this.#attempts <= MAX_RAW_BINDS) this.#raw.push(contents.slice());
    try {
      return this.#record(contents);
    } catch (error) {
      if (error instanceof FormatError) return false;
      throw error;
    }
  }

  #record(contents: Uint8Array): boolean {
    const bind = decodeSessionBind(contents);
    const hostKey = verifySessionBind(bind);
    if (hostKey === undefined) return false;
    if (this.#bindings.some((binding) => !binding.isForwarding)) return false;
    const known = this.#bindings.find((binding) => equalBytes(binding.sessionId, bind.sessionId));
    if (known !== undefined) return equalBytes(known.hostKey.blob, hostKey.blob);
    if (this.#bindings.length >= MAX_BINDINGS) return false;
    const ca = hostKey.certificate?.signatureKey;
    this.#bindings.push({
      hostKey,
      ...(ca === undefined ? {} : { caBlob: encodePublicKey(ca) }),
      sessionId: bind.sessionId.slice(),
      isForwarding: bind.isForwarding,
    });
    return true;
  }
}
