import { describe, expect, test } from 'vitest';
import { encodeConstraints, readConstraints } from '#openssh/agent-constraint.ts';
import { MAX_DESTINATION_CONSTRAINTS, encodeDestinationConstraints } from '#openssh/agent-destination.ts';
import { extensionNames } from '#openssh/agent-number.ts';
import { WireReader, WireWriter } from '#openssh/wire.ts';
import { sampleKey } from './agent-samples.ts';

const host = { blob: sampleKey().blob, isCa: false };
const origin = { user: '', hostname: '', keys: [] };
const there = { user: '', hostname: 'there', keys: [host] };
const read = (bytes: Uint8Array): unknown => readConstraints(new WireReader(bytes));
const code = (name: string): unknown => expect.objectContaining({ name: 'FormatError', code: name });
const extension = (name: string, rest: Uint8Array): Uint8Array =>
  new WireWriter().byte(255).string(name).raw(rest).finish();
const restrict = (constraints: Parameters<typeof encodeDestinationConstraints>[0]): Uint8Array =>
  extension(extensionNames.restrictDestination, encodeDestinationConstraints(constraints));

test('none is none', () => {
  expect(read(new Uint8Array())).toEqual({});
  expect(encodeConstraints({})).toEqual(new Uint8Array());
});

describe('refused', () => {
  test.each([
    ['an unknown number', Uint8Array.of(3), 'unsupported-algorithm'],
    ['an unknown extension', extension('x@example.org', new Uint8Array()), 'unsupported-algorithm'],
    [
      'certificates of a token',
      extension(extensionNames.associatedCerts, Uint8Array.of(0, 0, 0, 0, 0)),
      'unsupported-algorithm',
    ],
    ['a lifetime twice', Uint8Array.of(1, 0, 0, 0, 1, 1, 0, 0, 0, 1), 'bad-value'],
    ['confirm twice', Uint8Array.of(2, 2), 'bad-value'],
    ['a cut lifetime', Uint8Array.of(1, 0, 0), 'truncated'],
    [
      'destinations twice',
      Buffer.concat([restrict([{ from: origin, to: there }]), restrict([{ from: origin, to: there }])]),
      'bad-value',
    ],
    ['an empty list of destinations', restrict([]), 'bad-value'],
    ['a user to come from', restrict([{ from: { ...there, user: 'me' }, to: there }]), 'bad-value'],
    ['a host to come from without keys', restrict([{ from: { ...origin, hostname: 'x' }, to: there }]), 'bad-value'],
    ['keys to come from without a host', restrict([{ from: { ...origin, keys: [host] }, to: there }]), 'bad-value'],
    ['no destination', restrict([{ from: origin, to: origin }]), 'bad-value'],
    ['a destination without keys', restrict([{ from: origin, to: { ...there, keys: [] } }]), 'bad-value'],
    [
      'a user pattern over 256 bytes',
      restrict([{ from: origin, to: { ...there, user: '*'.repeat(257) } }]),
      'too-large',
    ],
    [
      'too many',
      restrict(
        Array.from({ length: MAX_DESTINATION_CONSTRAINTS + 1 }, () => ({
          from: origin,
          to: { ...there, keys: [{ blob: Uint8Array.of(1), isCa: false }] },
        })),
      ),
      'too-large',
    ],
  ])('%s', (_, bytes, expected) => {
    expect(() => read(bytes)).toThrow(code(expected));
  });

  test('a field from a later version of the extension', () => {
    const hop = new WireWriter().string('').string('h').string('new').finish();
    const constraint = new WireWriter().string(hop).string(hop).string('').finish();
    const list = new WireWriter().string(new WireWriter().string(constraint).finish()).finish();
    expect(() => read(extension(extensionNames.restrictDestination, list))).toThrow(code('too-large'));
  });
});

test('a user pattern of exactly 256 bytes is taken', () => {
  const constraint = { from: origin, to: { ...there, user: '?'.repeat(256) } };
  expect(read(restrict([constraint]))).toEqual({ destinations: [constraint] });
});
