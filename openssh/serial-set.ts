/**
 * A set of uint64 serials as sorted ranges in two typed arrays: a million scattered serials take 16 MB and are looked up by
 * halving. Serial 0 is refused: OpenSSH takes it for "no serial", and refuses a whole KRL that names it.
 */

/** 64 MiB of ranges: what a hostile KRL can make us hold, and four times what we promise to serve. */
export const MAX_SERIAL_RANGES = 4 * 1024 * 1024;
const MAX_SERIAL = 0xffff_ffff_ffff_ffffn;

const NONE = new BigUint64Array(0);
const FIRST_CAPACITY = 16;

/** Both ends inclusive. */
export interface SerialRange {
  readonly first: bigint;
  readonly last: bigint;
}

export class SerialSet implements Iterable<SerialRange> {
  readonly #firsts: BigUint64Array;
  readonly #lasts: BigUint64Array;

  /** For `SerialSetBuilder`: sorted ranges with a gap between each two. */
  constructor(firsts: BigUint64Array, lasts: BigUint64Array) {
    this.#firsts = firsts;
    this.#lasts = lasts;
  }

  /** @throws TypeError for a serial outside [1, 2^64), a range that ends before it starts, or more than 4 Mi ranges */
  static of(serials: Iterable<bigint | SerialRange>): SerialSet {
    const builder = new SerialSetBuilder();
    for (const serial of serials) {
      const { first, last } = typeof serial === 'bigint' ? { first: serial, last: serial } : serial;
      if (!builder.add(first, last)) throw new TypeError('serials out of range, or too many of them');
    }
    return builder.finish();
  }

  /** How many ranges the serials form. */
  get rangeCount(): number {
    return this.#firsts.length;
  }

  has(serial: bigint): boolean {
    let [low, high] = [0, this.#firsts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#firsts[middle] ?? MAX_SERIAL) <= serial) low = middle + 1;
      else high = middle;
    }
    return low > 0 && serial <= (this.#lasts[low - 1] ?? 0n);
  }

  *[Symbol.iterator](): Generator<SerialRange> {
    for (const [index, first] of this.#firsts.entries()) yield { first, last: this.#lasts[index] ?? first };
  }
}

/** Collects ranges in any order, overlapping or not; several builders can share one budget of ranges. */
export class SerialSetBuilder {
  readonly #budget: { remaining: number };
  #firsts = NONE;
  #lasts = NONE;
  #count = 0;

  constructor(budget: { remaining: number } = { remaining: MAX_SERIAL_RANGES }) {
    this.#budget = budget;
  }

  /** False, and nothing is added, for a range that is empty, holds serial 0, or is one too many. */
  add(first: bigint, last: bigint): boolean {
    if (first < 1n || last < first || last > MAX_SERIAL || this.#budget.remaining === 0) return false;
    if (this.#count === this.#firsts.length) {
      this.#firsts = grown(this.#firsts);
      this.#lasts = grown(this.#lasts);
    }
    this.#firsts[this.#count] = first;
    this.#lasts[this.#count] = last;
    this.#count++;
    this.#budget.remaining--;
    return true;
  }

  /** Ends the builder's life: its arrays become the set's. */
  finish(): SerialSet {
    // Sorted apart from each other, firsts and lasts still tell where the union of all ranges has its gaps.
    const firsts = this.#firsts.subarray(0, this.#count);
    const lasts = this.#lasts.subarray(0, this.#count);
    firsts.sort();
    lasts.sort();
    let count = 0;
    for (let index = 0; index < this.#count; index++) {
      const [first, last] = [firsts[index] ?? 0n, lasts[index] ?? 0n];
      if (count === 0 || first - 1n > (lasts[count - 1] ?? 0n)) firsts[count++] = first;
      lasts[count - 1] = last;
    }
    return new SerialSet(firsts.slice(0, count), lasts.slice(0, count));
  }
}

function grown(numbers: BigUint64Array<ArrayBuffer>): BigUint64Array<ArrayBuffer> {
  const twice = new BigUint64Array(Math.max(FIRST_CAPACITY, numbers.length * 2));
  twice.set(numbers);
  return twice;
}
