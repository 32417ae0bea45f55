/**
 * What every decoder owes to hostile input: it returns, or throws a FormatError; it comes back; and it never makes more bytes than
 * a bound that grows with its input. See `decoders.ts` for the list.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { array, assert, asyncProperty, constantFrom, nat, tuple, uint8Array } from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { FormatError } from '#openssh/format-error.ts';
import { type Decoder, decoders } from './decoders.ts';

/** Parsed forms are larger than bytes on the wire, and a set of serials is the largest: one byte can name four ranges of 16 bytes. */
const BYTES_PER_INPUT_BYTE = 256;
const BYTES_ANYWAY = 2 * 1024 * 1024;
const DEFAULT_RUNS = 1500;

vi.setConfig({ testTimeout: 60_000 });

/** `refused` or `accepted`; anything else fails the test. */
async function feed(decoder: Decoder, input: Uint8Array): Promise<'refused' | 'accepted'> {
  const before = process.memoryUsage().arrayBuffers;
  try {
    await decoder.decode(input);
    return 'accepted';
  } catch (error) {
    if (error instanceof FormatError) return 'refused';
    throw new Error(`${decoder.name} threw something else for ${Buffer.from(input).toString('hex')}`, { cause: error });
  } finally {
    const made = process.memoryUsage().arrayBuffers - before;
    expect(made, `${decoder.name} made too much`).toBeLessThan(BYTES_ANYWAY + BYTES_PER_INPUT_BYTE * input.length);
  }
}

async function outcomes(decoder: Decoder, inputs: Iterable<Uint8Array>): Promise<Set<string>> {
  const seen = new Set<string>();
  for (const input of inputs) seen.add(await feed(decoder, input));
  return seen;
}

function* prefixes(sample: Uint8Array): Generator<Uint8Array> {
  for (let length = 0; length < sample.length; length++) yield sample.slice(0, length);
}

function* withOneMore(sample: Uint8Array): Generator<Uint8Array> {
  for (const byte of [0x00, 0x01, 0x41, 0x80, 0xff]) yield new Uint8Array([...sample, byte]);
}

/** Every place that could be a uint32 length is set to what a hostile length would be. */
function* withHostileLengths(sample: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at + 4 <= sample.length; at++) {
    const length = new DataView(sample.buffer, sample.byteOffset).getUint32(at);
    if (length > sample.length) continue;
    const left = sample.length - at - 4;
    for (const hostile of [0, length + 1, left, left + 1, 64 * 1024 * 1024, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      const changed = sample.slice();
      new DataView(changed.buffer).setUint32(at, hostile);
      yield changed;
    }
  }
}

/** `count` of all single-bit changes, spread evenly. */
function* withOneBitChanged(sample: Uint8Array, count: number): Generator<Uint8Array> {
  const bits = sample.length * 8;
  const step = Math.max(1, bits / count);
  for (let bit = 0; bit < bits; bit += step) {
    const at = Math.floor(bit);
    const changed = sample.slice();
    changed[at >>> 3] = (changed[at >>> 3] ?? 0) ^ (1 << (at & 7));
    yield changed;
  }
}

describe.each(decoders.map((decoder) => [decoder.name, decoder] as const))('%s', (_, decoder) => {
  const samples = decoder.samples.map((sample) => new Uint8Array(sample));
  const runs = decoder.runs ?? DEFAULT_RUNS;

  test('accepts its samples', async () => {
    expect(await outcomes(decoder, samples)).toEqual(new Set(['accepted']));
  });

  test('every prefix', async () => {
    for (const sample of samples) {
      const seen = await outcomes(decoder, prefixes(sample));
      if (decoder.isExact === true) expect(seen).toEqual(new Set(['refused']));
      else expect(seen.size).toBeGreaterThan(0);
    }
  });

  test('one byte too many', async () => {
    for (const sample of samples) {
      const seen = await outcomes(decoder, withOneMore(sample));
      if (decoder.isExact === true) expect(seen).toEqual(new Set(['refused']));
      else expect(seen.size).toBeGreaterThan(0);
    }
  });

  test('each length at its maximum, and just off', async () => {
    for (const sample of samples) expect((await outcomes(decoder, withHostileLengths(sample))).size).toBeLessThan(3);
  });

  test('single bits changed', async () => {
    for (const sample of samples)
      expect((await outcomes(decoder, withOneBitChanged(sample, runs))).size).toBeGreaterThan(0);
  });

  test('random bytes, alone and spliced into samples', async () => {
    const input = tuple(constantFrom(...samples), nat(), nat(), array(uint8Array({ maxLength: 40 }), { maxLength: 3 }));
    await assert(
      asyncProperty(input, uint8Array({ maxLength: 300 }), async ([sample, from, length, parts], noise) => {
        const start = from % (sample.length + 1);
        const end = start + (length % (sample.length - start + 1));
        const spliced = Buffer.concat([sample.subarray(0, start), ...parts, sample.subarray(end)]);
        await feed(decoder, noise);
        await feed(decoder, new Uint8Array(spliced));
      }),
      { numRuns: Math.min(runs, 300) },
    );
  });
});

test('the gauge sees an allocation', async () => {
  const hungry: Decoder = {
    name: 'hungry',
    covers: [],
    decode: () => new Uint8Array(64 * 1024 * 1024),
    samples: [],
  };
  await expect(feed(hungry, new Uint8Array(10))).rejects.toThrow(/made too much/);
});

test('every decoder of the room is in the list', () => {
  const room = new URL('../../../openssh/', import.meta.url);
  const exported = readdirSync(room)
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => [
      ...readFileSync(new URL(name, room), 'utf8').matchAll(
        /^export (?:async )?function ((?:decode|parse|read|dearmor|find|view|recognise)[A-Z]\w*)/gm,
      ),
    ])
    .map(([, name]) => name);
  const covered = new Set([...decoders.flatMap(({ covers }) => covers), ...judges]);
  expect(exported.length).toBeGreaterThan(30);
  expect(exported.filter((name) => !covered.has(name ?? ''))).toEqual([]);
});

/** They take what a decoder has read already. */
const judges = [
  'findCertificateFault',
  'findHostKeyStatus',
  'findRevocation',
  'findValidityFault',
  'recogniseSignedData',
];
