/**
 * The identities that the agent holds, in the order they were added, each gone when its time is up.
 * Nothing is ever written to disk. Removing drops the last reference to the key; OpenSSL wipes its memory when the
 * garbage collector frees the handle, and there is no way to force that from here.
 */
import type { Identity, IdentityId } from './identity.ts';
import type { Moment } from './moment.ts';

export class IdentityStore {
  readonly #identities = new Map<IdentityId, Identity>();
  #nextMonotonicMs = Infinity;
  #nextEpochMs = Infinity;
  #version = 0;
  readonly #onChange: () => void;

  /** @param onChange called after every change, also through `expire` */
  constructor(onChange: () => void = () => undefined) {
    this.#onChange = onChange;
  }

  /** Changes whenever the set of identities does. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#identities.size;
  }

  /** In the order of adding. */
  all(): readonly Identity[] {
    return [...this.#identities.values()];
  }

  find(id: IdentityId): Identity | undefined {
    return this.#identities.get(id);
  }

  /** Adds, or replaces in its place the identity with the same blob. */
  add(identity: Identity): void {
    this.#identities.set(identity.id, identity);
    this.#changed();
  }

  remove(id: IdentityId): boolean {
    const removed = this.#identities.delete(id);
    if (removed) this.#changed();
    return removed;
  }

  clear(): void {
    this.#identities.clear();
    this.#changed();
  }

  /** Removes what has ended; cheap when nothing has. Returns what was removed. */
  expire(now: Moment): readonly Identity[] {
    if (now.monotonicMs < this.#nextMonotonicMs && now.epochMs < this.#nextEpochMs) return [];
    const ended = this.all().filter((identity) => hasEnded(identity, now));
    for (const { id } of ended) this.#identities.delete(id);
    this.#changed();
    return ended;
  }

  /** Milliseconds until something ends; Infinity when nothing will. */
  msToNextEnd(now: Moment): number {
    return Math.max(0, Math.min(this.#nextMonotonicMs - now.monotonicMs, this.#nextEpochMs - now.epochMs));
  }

  #changed(): void {
    this.#version++;
    this.#nextMonotonicMs = Infinity;
    this.#nextEpochMs = Infinity;
    for (const { endsMonotonicMs = Infinity, endsEpochMs = Infinity } of this.#identities.values()) {
      this.#nextMonotonicMs = Math.min(this.#nextMonotonicMs, endsMonotonicMs);
      this.#nextEpochMs = Math.min(this.#nextEpochMs, endsEpochMs);
    }
    this.#onChange();
  }
}

function hasEnded(identity: Identity, now: Moment): boolean {
  const { endsMonotonicMs = Infinity, endsEpochMs = Infinity } = identity;
  return now.monotonicMs >= endsMonotonicMs || now.epochMs >= endsEpochMs;
}
