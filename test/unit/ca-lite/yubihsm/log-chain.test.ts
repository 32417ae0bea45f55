/** The chain of the device's audit log. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeLogEntry, type LogEntry } from '#ca-lite/yubihsm/commands/log.ts';
import { chainDigest, verifyLogChain } from '#ca-lite/yubihsm/log-chain.ts';

function chain(from: number, count: number): LogEntry[] {
  const entries: LogEntry[] = [];
  let digest: Uint8Array = new Uint8Array(16).fill(7);
  for (let i = 0; i < count; i++) {
    const covered = Buffer.alloc(16, i);
    covered.writeUInt16BE((from + i) & 0xffff);
    digest = chainDigest({ covered }, digest);
    entries.push(decodeLogEntry(Buffer.concat([covered, digest])));
  }
  return entries;
}

const positionOf = ({ number, digest }: LogEntry): { number: number; digest: Uint8Array } => ({ number, digest });

test('a whole page is fresh when nothing was known, and says that nothing links it', () => {
  const entries = chain(1, 5);
  expect(verifyLogChain(entries)).toEqual({ fresh: entries, position: positionOf(entries[4]!), linked: false });
});

test('what was seen is not reported again', () => {
  const entries = chain(1, 5);
  const known = positionOf(entries[2]!);
  expect(verifyLogChain(entries, known)).toMatchObject({ fresh: entries.slice(3), linked: true });
  expect(verifyLogChain(entries.slice(0, 3), known)).toMatchObject({ fresh: [], position: known });
  expect(verifyLogChain([], known)).toEqual({ fresh: [], position: known, linked: true });
});

test('a page that follows the last known entry is linked', () => {
  const entries = chain(1, 5);
  expect(verifyLogChain(entries.slice(3), positionOf(entries[2]!))).toMatchObject({ fresh: entries.slice(3) });
});

test('numbers go on at 0 behind 65,535', () => {
  expect(verifyLogChain(chain(65_534, 4)).fresh.map(({ number }) => number)).toEqual([65_534, 65_535, 0, 1]);
});

test.each([
  ['an entry is missing', (entries: LogEntry[]) => entries.toSpliced(2, 1)],
  ['two entries are swapped', (entries: LogEntry[]) => entries.with(2, entries[3]!).with(3, entries[2]!)],
  ['an entry is doubled', (entries: LogEntry[]) => entries.toSpliced(2, 0, entries[2]!)],
])('the chain is broken when %s', (_, change) => {
  expect(() => verifyLogChain(change(chain(1, 6)))).toThrow(expect.objectContaining({ code: 'log-chain-broken' }));
});

test('the chain is broken when entries between the known one and the page are gone', () => {
  const entries = chain(1, 6);
  expect(() => verifyLogChain(entries.slice(4), positionOf(entries[2]!))).toThrow(
    expect.objectContaining({ code: 'log-chain-broken' }),
  );
});

test('the chain is broken when the known entry has another digest now: the device was reset', () => {
  const entries = chain(1, 6);
  expect(() => verifyLogChain(entries, { number: 3, digest: new Uint8Array(16) })).toThrow(
    expect.objectContaining({ code: 'log-chain-broken' }),
  );
});

test('one changed byte in any entry but the first digest breaks the chain', () => {
  const entries = chain(1, 4).map(({ covered, digest }) => Buffer.concat([covered, digest]));
  const place = fc.record({ entry: fc.integer({ min: 1, max: 3 }), at: fc.integer({ min: 0, max: 31 }) });
  fc.assert(
    fc.property(place, fc.integer({ min: 1, max: 255 }), ({ entry, at }, flip) => {
      const changed = entries.map((bytes) => Buffer.from(bytes));
      changed[entry]![at]! ^= flip;
      expect(() => verifyLogChain(changed.map(decodeLogEntry))).toThrow(
        expect.objectContaining({ code: 'log-chain-broken' }),
      );
    }),
  );
});
