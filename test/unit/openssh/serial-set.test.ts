import { array, assert, bigInt, oneof, property, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SerialSet, SerialSetBuilder } from '#openssh/serial-set.ts';

const MAX = 2n ** 64n - 1n;

function ranges(set: SerialSet): [bigint, bigint][] {
  return [...set].map(({ first, last }) => [first, last]);
}

test('joins what overlaps or touches, in any order', () => {
  const set = SerialSet.of([9n, { first: 3n, last: 5n }, 6n, { first: 1n, last: 3n }, 8n, { first: 2n, last: 2n }]);
  expect(ranges(set)).toEqual([
    [1n, 6n],
    [8n, 9n],
  ]);
});

test('holds the ends of the number range', () => {
  const set = SerialSet.of([1n, MAX, { first: MAX - 5n, last: MAX - 3n }]);
  expect([1n, 2n, MAX - 6n, MAX - 5n, MAX - 3n, MAX - 2n, MAX].map((serial) => set.has(serial))).toEqual([
    true,
    false,
    false,
    true,
    true,
    false,
    true,
  ]);
  expect(ranges(SerialSet.of([{ first: 1n, last: MAX }, MAX]))).toEqual([[1n, MAX]]);
});

test('is empty when nothing is put in', () => {
  expect(SerialSet.of([]).rangeCount).toBe(0);
  expect(SerialSet.of([]).has(1n)).toBe(false);
});

test.each([
  ['serial 0', 0n],
  ['a negative one', -1n],
  ['65 bits', MAX + 1n],
  ['a range backwards', { first: 5n, last: 4n }],
])('refuses %s', (_, serial) => {
  expect(() => SerialSet.of([serial])).toThrow(TypeError);
});

test('builders share a budget', () => {
  const budget = { remaining: 3 };
  const [one, other] = [new SerialSetBuilder(budget), new SerialSetBuilder(budget)];
  expect([one.add(1n, 1n), other.add(2n, 2n), one.add(0n, 1n), one.add(5n, 5n), other.add(9n, 9n)]).toEqual([
    true,
    true,
    false,
    true,
    false,
  ]);
});

describe('whatever is put in', () => {
  const serial = bigInt({ min: 1n, max: 60n });

  test('is in, and nothing else', () => {
    assert(
      property(array(tuple(serial, serial)), (pairs) => {
        const wanted = pairs.map(([a, b]) => (a < b ? { first: a, last: b } : { first: b, last: a }));
        const set = SerialSet.of(wanted);
        for (let candidate = 0n; candidate <= 61n; candidate++) {
          expect(set.has(candidate)).toBe(wanted.some(({ first, last }) => first <= candidate && candidate <= last));
        }
        const found = ranges(set);
        for (const [index, [first]] of found.entries()) {
          if (index > 0) expect(first).toBeGreaterThan((found[index - 1]?.[1] ?? 0n) + 1n);
        }
      }),
    );
  });

  test('two sets together are the set of both', () => {
    const wide = oneof(serial, bigInt({ min: 1n, max: MAX }), bigInt({ min: MAX - 60n, max: MAX }));
    const some = array(oneof(wide, tuple(wide, wide)));
    const asRanges = (of: readonly (bigint | [bigint, bigint])[]) =>
      of.map((one) => {
        const [a, b] = typeof one === 'bigint' ? [one, one] : one;
        return a < b ? { first: a, last: b } : { first: b, last: a };
      });
    assert(
      property(some, some, (one, other) => {
        const union = SerialSet.of(asRanges(one)).union(SerialSet.of(asRanges(other)));
        expect(ranges(union)).toEqual(ranges(SerialSet.of(asRanges([...one, ...other]))));
      }),
    );
  });
});

test('adds many single serials at once, or none', () => {
  const builder = new SerialSetBuilder({ remaining: 4 });
  expect(builder.addAll(BigUint64Array.of(9n, 3n))).toBe(true);
  expect(builder.addAll(BigUint64Array.of(7n, 0n))).toBe(false);
  expect(builder.addAll(BigUint64Array.of(5n, 6n, 7n))).toBe(false);
  expect(builder.add(4n, 8n)).toBe(true);
  expect(ranges(builder.finish())).toEqual([[3n, 9n]]);
});

test('knows which serials lie far apart', () => {
  const far = 2n ** 33n;
  const set = SerialSet.of([
    far,
    3n * far,
    5n * far,
    5n * far + 2n,
    { first: 8n * far, last: 8n * far + 1n },
    10n * far,
  ]);
  expect([0, 1, 2, 3, 4, 5].map((start) => set.endOfScattered(start))).toEqual([2, 2, 2, 3, 4, 6]);
  expect([...set.bytesOfFirsts(0, 2)]).toEqual([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0]);
});
