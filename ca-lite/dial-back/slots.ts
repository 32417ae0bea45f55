/**
 * Slots for work that somebody outside can ask for: so many at once for each key of each kind (in total, for one requester, for
 * one target), with a waiting line of bounded length and time for each, and a refusal beyond it.
 * The line is first come, first served, except that whoever waits for a key of their own does not hold up the others.
 */

export interface SlotLimits {
  readonly running: number;
  readonly waiting: number;
}

export interface Slot extends Disposable {
  readonly granted: true;
}
export type SlotRefusal = { readonly granted: false; readonly code: 'busy' | 'aborted' };

interface Waiter {
  readonly keys: readonly string[];
  readonly settle: (result: Slot | SlotRefusal) => void;
}

export class Slots<Kind extends string> {
  readonly #limits: Readonly<Record<Kind, SlotLimits>>;
  readonly #waitMilliseconds: number;
  /** By key; gone at zero, so that the maps are bounded by the slots and not by the requesters ever seen. */
  readonly #running = new Map<string, number>();
  readonly #waiting = new Map<string, number>();
  readonly #line = new Set<Waiter>();

  constructor(limits: Readonly<Record<Kind, SlotLimits>>, waitMilliseconds: number) {
    this.#limits = limits;
    this.#waitMilliseconds = waitMilliseconds;
  }

  /**
   * One slot under all the given names, which the caller disposes of when the work is over. Never rejects.
   * @param names which requester, which target; for a kind that has one slot pool for all, any constant
   */
  acquire(names: Readonly<Record<Kind, string>>, signal: AbortSignal): Promise<Slot | SlotRefusal> {
    const keys = (Object.keys(this.#limits) as Kind[]).map((kind) => `${kind} ${names[kind]}`);
    if (signal.aborted) return Promise.resolve(aborted);
    if (this.#hasRoom(this.#running, keys, 'running')) return Promise.resolve(this.#grant(keys));
    if (!this.#hasRoom(this.#waiting, keys, 'waiting')) return Promise.resolve(busy);
    return this.#wait(keys, signal);
  }

  /** Nothing runs and nothing waits. */
  get idle(): boolean {
    return this.#running.size === 0 && this.#waiting.size === 0 && this.#line.size === 0;
  }

  #wait(keys: readonly string[], signal: AbortSignal): Promise<Slot | SlotRefusal> {
    return new Promise((resolve) => {
      const onAbort = (): void => waiter.settle(aborted);
      const timer = setTimeout(() => waiter.settle(busy), this.#waitMilliseconds);
      const waiter: Waiter = {
        keys,
        settle: (result) => {
          this.#line.delete(waiter);
          add(this.#waiting, keys, -1);
          clearTimeout(timer);
          signal.removeEventListener('abort', onAbort);
          resolve(result);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#line.add(waiter);
      add(this.#waiting, keys, 1);
    });
  }

  #grant(keys: readonly string[]): Slot {
    add(this.#running, keys, 1);
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      add(this.#running, keys, -1);
      this.#serveLine();
    };
    return { granted: true, [Symbol.dispose]: release };
  }

  #serveLine(): void {
    for (const waiter of this.#line) {
      if (this.#hasRoom(this.#running, waiter.keys, 'running')) waiter.settle(this.#grant(waiter.keys));
    }
  }

  #hasRoom(counts: ReadonlyMap<string, number>, keys: readonly string[], what: keyof SlotLimits): boolean {
    return keys.every((key) => {
      const kind = key.slice(0, key.indexOf(' ')) as Kind;
      return (counts.get(key) ?? 0) < this.#limits[kind][what];
    });
  }
}

const busy: SlotRefusal = { granted: false, code: 'busy' };
const aborted: SlotRefusal = { granted: false, code: 'aborted' };

function add(counts: Map<string, number>, keys: readonly string[], change: 1 | -1): void {
  for (const key of keys) {
    const count = (counts.get(key) ?? 0) + change;
    if (count === 0) counts.delete(key);
    else counts.set(key, count);
  }
}
