/** Chance that can be replayed: each device draws from a stream of its own, so that the order in which requests finish changes nothing. */
export class Chance {
  #state: number;

  /** @param seed of the run @param stream of the device */
  constructor(seed: number, stream: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b)) >>> 0;
    for (let n = 0; n < 4; n++) this.next();
  }

  /** In [0, 1): mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** True once in `n` times, on average. */
  oneIn(n: number): boolean {
    return this.next() * n < 1;
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  pick<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[this.below(items.length)] ?? items[0];
  }
}
