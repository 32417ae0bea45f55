/**
 * A set of uint64 serials as sorted ranges in two typed arrays: a million scattered serials take 16 MB and are looked up by
 * halving. Serial 0 is refused: OpenSSH takes it for "no serial", and refuses a whole KRL that names it.
 */

/** 64 MiB of ranges: what a hostile KRL can make us hold, and four times what we promise to serve. */
export const MAX_SERIAL_RANGES = 4 * 1024 * 1024;
const MAX_SERIAL = 0xffff_ffff_ffff_ffffn;

const NONE = new BigUint64Array(0);
const FIRST_CAPACITY = 16;
/** Where the high half of a uint64 lies, seen as two uint32. */
const HIGH = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;

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

  /** The range at `index`, counted from 0 in ascending order; undefined behind the last one. */
  at(index: number): SerialRange | undefined {
    const [first, last] = [this.#firsts[index], this.#lasts[index]];
    return first === undefined || last === undefined ? undefined : { first, last };
  }

  /** How far from `start` on each range is a single serial with more than 2^32 to its neighbours on both sides: the end, exclusive. */
  endOfScattered(start: number): number {
    const [firsts, lasts] = [halvesOf(this.#firsts), halvesOf(this.#lasts)];
    const count = this.#firsts.length;
    const high = (of: Uint32Array, index: number): number => of[2 * index + HIGH] ?? 0;
    let index = start;
    while (index < count) {
      const [first, last] = [high(firsts, index), high(lasts, index)];
      if (first !== last || firsts[2 * index + 1 - HIGH] !== lasts[2 * index + 1 - HIGH]) break;
      if (index > 0 && first - high(lasts, index - 1) < 2) break;
      if (index + 1 < count && high(firsts, index + 1) - last < 2) break;
      index++;
    }
    return index;
  }

  /** The first serials of the ranges from `start` to `end`, exclusive, as the wire has them: 8 bytes each, big-endian. */
  bytesOfFirsts(start: number, end: number): Uint8Array {
    const copy = this.#firsts.slice(start, end);
    const bytes = Buffer.from(copy.buffer, copy.byteOffset, copy.byteLength);
    return HIGH === 1 ? bytes.swap64() : bytes;
  }

  /** All of both. What lies between two ranges of the smaller set is copied in one piece. @throws TypeError for more than 4 Mi ranges */
  union(other: SerialSet): SerialSet {
    const [base, added] = this.rangeCount < other.rangeCount ? [other, this] : [this, other];
    const most = base.rangeCount + added.rangeCount;
    const [firsts, lasts] = [new BigUint64Array(most), new BigUint64Array(most)];
    let [count, taken] = [0, 0];
    for (const { first, last } of added) {
      if (count > 0 && first - 1n <= (lasts[count - 1] ?? 0n)) {
        if (last > (lasts[count - 1] ?? 0n)) lasts[count - 1] = last;
      } else {
        const before = base.#countBefore(first, taken);
        firsts.set(base.#firsts.subarray(taken, before), count);
        lasts.set(base.#lasts.subarray(taken, before), count);
        count += before - taken;
        taken = before;
        firsts[count] = first;
        lasts[count] = last;
        count++;
      }
      // What the range overlaps or touches becomes a part of it.
      for (
        let next = base.at(taken);
        next !== undefined && next.first - 1n <= (lasts[count - 1] ?? 0n);
        next = base.at(taken)
      ) {
        if (next.first < (firsts[count - 1] ?? 0n)) firsts[count - 1] = next.first;
        if (next.last > (lasts[count - 1] ?? 0n)) lasts[count - 1] = next.last;
        taken++;
      }
    }
    firsts.set(base.#firsts.subarray(taken), count);
    lasts.set(base.#lasts.subarray(taken), count);
    count += base.rangeCount - taken;
    if (count > MAX_SERIAL_RANGES) throw new TypeError('too many serials');
    return new SerialSet(firsts.subarray(0, count), lasts.subarray(0, count));
  }

  /** How many ranges end so far before `serial` that they do not touch it, of which `from` are known. */
  #countBefore(serial: bigint, from: number): number {
    let [low, high] = [from, this.#lasts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#lasts[middle] ?? MAX_SERIAL) < serial - 1n) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function halvesOf(numbers: BigUint64Array): Uint32Array {
  return new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length * 2);
}

/** Collects ranges in any order, overlapping or not; several builders can share one budget of ranges. */
export class SerialSetBuilder {
  readonly #budget: { remaining: number };
  #firsts = NONE;
  #lasts = NONE;
  #count = 0;
  /** No range was added: firsts and lasts are the same. */
  #isSingles = true;

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
    this.#isSingles &&= first === last;
    this.#budget.remaining--;
    return true;
  }

  /** Single serials in any order. False when one of them is 0 or there are too many; then nothing is added. */
  addAll(serials: BigUint64Array): boolean {
    if (serials.length > this.#budget.remaining || serials.includes(0n)) return false;
    const count = this.#count + serials.length;
    if (count > this.#firsts.length) {
      this.#firsts = grown(this.#firsts, count);
      this.#lasts = grown(this.#lasts, count);
    }
    this.#firsts.set(serials, this.#count);
    this.#lasts.set(serials, this.#count);
    this.#count = count;
    this.#budget.remaining -= serials.length;
    return true;
  }

  /** Ends the builder's life: its arrays become the set's. */
  finish(): SerialSet {
    // Sorted apart from each other, firsts and lasts still tell where the union of all ranges has its gaps.
    const firsts = this.#firsts.subarray(0, this.#count);
    const lasts = this.#lasts.subarray(0, this.#count);
    firsts.sort();
    if (this.#isSingles) lasts.set(firsts);
    else lasts.sort();
    let count = 0;
    for (let index = 0; index < this.#count; index++) {
      const [first, last] = [firsts[index] ?? 0n, lasts[index] ?? 0n];
      if (count === 0 || first - 1n > (lasts[count - 1] ?? 0n)) firsts[count++] = first;
      lasts[count - 1] = last;
    }
    return new SerialSet(firsts.slice(0, count), lasts.slice(0, count));
  }
}

function grown(numbers: BigUint64Array<ArrayBuffer>, atLeast = 0): BigUint64Array<ArrayBuffer> {
  const twice = new BigUint64Array(Math.max(FIRST_CAPACITY, numbers.length * 2, atLeast));
  twice.set(numbers);
  return twice;
}
