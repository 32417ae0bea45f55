/** The wrap key in shares. */
import * as fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { HsmError } from '#ca-lite/yubihsm/errors.ts';
import { combineWrapKey, splitWrapKey, thresholdOf } from '#ca-lite/yubihsm/setup/wrap-key-shares.ts';

const key = new Uint8Array(32).map((_, index) => index * 7);

test.each([
  [2, 2],
  [2, 3],
  [3, 5],
  [20, 20],
])('any %i of %i shares restore the key', async (threshold, total) => {
  const shares = await splitWrapKey(key, { threshold, total });
  expect(shares).toHaveLength(total);
  expect(await combineWrapKey(shares.slice(0, threshold))).toEqual(key);
  expect(await combineWrapKey(shares.toReversed().slice(0, threshold))).toEqual(key);
  expect(await combineWrapKey(shares)).toEqual(key);
  expect(shares.map(thresholdOf)).toEqual(shares.map(() => threshold));
});

test('white space around a share does no harm', async () => {
  const [first, second] = await splitWrapKey(key, { threshold: 2, total: 3 });
  expect(await combineWrapKey([` ${first}\r\n`, `${second}\n`])).toEqual(key);
});

test('a share tells nothing of the others, and no two splits are alike', async () => {
  const [first] = await splitWrapKey(key, { threshold: 2, total: 3 });
  const [again] = await splitWrapKey(key, { threshold: 2, total: 3 });
  expect(first).not.toBe(again);
});

test('what does not fit is refused, with the reason', async () => {
  const shares = await splitWrapKey(key, { threshold: 3, total: 5 });
  const others = await splitWrapKey(new Uint8Array(randomBytes(32)), { threshold: 3, total: 5 });
  const again = await splitWrapKey(key, { threshold: 3, total: 5 });
  const refused = async (lines: string[], why: RegExp): Promise<void> => {
    await expect(combineWrapKey(lines)).rejects.toMatchObject({ code: 'bad-input' });
    await expect(combineWrapKey(lines)).rejects.toThrow(why);
  };
  await refused([], /no share/);
  await refused(shares.slice(0, 2), /3 shares are needed, 2 were given/);
  await refused([shares[0]!, shares[1]!, shares[1]!], /twice/);
  await refused([shares[0]!, shares[1]!, others[2]!], /different backups/);
  await refused([shares[0]!, shares[1]!, again[2]!], /do not make the key|twice/);
  await refused([shares[0]!, shares[1]!, 'password'], /share 3 is not a share/);
});

test('shares of two splits are refused, also where they meet in one place on the curve', async () => {
  const placeOf = (line: string) => Buffer.from(line.split(':')[5] ?? '', 'base64url').at(-1);
  const many = { threshold: 2, total: 20 };
  const [first = ''] = await splitWrapKey(key, many);
  let other: string | undefined;
  while (other === undefined) {
    const again = await splitWrapKey(key, many);
    other = again.slice(1).find((line) => placeOf(line) === placeOf(first));
  }
  await expect(combineWrapKey([first, other])).rejects.toMatchObject({ code: 'bad-input' });
});

test('one mistyped letter anywhere is found', async () => {
  const shares = await splitWrapKey(key, { threshold: 2, total: 2 });
  const [first, second] = shares as [string, string];
  const letter = fc.constantFrom('a', 'f', 'A', 'Z', '0', '9', '-', '_', ':');
  await fc.assert(
    fc.asyncProperty(fc.nat(first.length - 1), letter, async (at, typed) => {
      const mistyped = first.slice(0, at) + typed + first.slice(at + 1);
      if (mistyped === first) return;
      await expect(combineWrapKey([mistyped, second])).rejects.toBeInstanceOf(HsmError);
    }),
  );
});

test.each([
  [1, 3],
  [4, 3],
  [2, 21],
])('%i of %i makes no sense', async (threshold, total) => {
  await expect(splitWrapKey(key, { threshold, total })).rejects.toThrow(TypeError);
});
