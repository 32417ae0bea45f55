/**
 * Locking with a passphrase (RFC 9987 section 5.7). While locked nothing is listed, signed, added or removed.
 * Each wrong unlocking makes the next attempt wait 0.1 s longer, to 10 s, over all connections together; attempts that come
 * in the meantime wait for their turn, so that more connections do not mean more attempts.
 */
import { scryptSync, timingSafeEqual } from 'node:crypto';
import type { Moment } from './moment.ts';

const STEP_MS = 100;
const MAX_DELAY_MS = 10_000;
const SCRYPT = { N: 1024, r: 8, p: 1 }; // about 3 ms: the passphrase guards a process, not a stolen file
const KEY_LENGTH = 32;

export type UnlockResult = 'unlocked' | 'refused' | { readonly retryAtMonotonicMs: number };

export class AgentLock {
  #secret: { readonly salt: Uint8Array; readonly hash: Uint8Array } | undefined;
  #failures = 0;
  #notBeforeMonotonicMs = 0;
  readonly #onChange: () => void;

  /** @param onChange called after locking and unlocking */
  constructor(onChange: () => void = () => undefined) {
    this.#onChange = onChange;
  }

  get isLocked(): boolean {
    return this.#secret !== undefined;
  }

  /** False when already locked, or for an empty passphrase. @param salt 16 fresh random bytes */
  lock(passphrase: Uint8Array, salt: Uint8Array): boolean {
    if (this.#secret !== undefined || passphrase.length === 0) return false;
    this.#secret = { salt, hash: scryptSync(passphrase, salt, KEY_LENGTH, SCRYPT) };
    this.#onChange();
    return true;
  }

  unlock(passphrase: Uint8Array, now: Moment): UnlockResult {
    if (this.#secret === undefined || passphrase.length === 0) return 'refused';
    if (now.monotonicMs < this.#notBeforeMonotonicMs) return { retryAtMonotonicMs: this.#notBeforeMonotonicMs };
    const { salt, hash } = this.#secret;
    if (timingSafeEqual(scryptSync(passphrase, salt, KEY_LENGTH, SCRYPT), hash)) {
      this.#secret = undefined;
      this.#failures = 0;
      this.#notBeforeMonotonicMs = 0;
      this.#onChange();
      return 'unlocked';
    }
    this.#failures++;
    this.#notBeforeMonotonicMs = now.monotonicMs + Math.min(STEP_MS * this.#failures, MAX_DELAY_MS);
    return 'refused';
  }
}
