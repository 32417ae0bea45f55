import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ServerBytes } from '#ca-lite/dial-back/server-bytes.ts';
import { VERSION_LINE, kexinit, packet } from '#test/simulator/hostile-ssh/attackers.ts';

const limits = { maxBytes: 4096, maxBannerBytes: 600, maxBannerLines: 3 };
const KEXINIT = packet(kexinit(['ssh-ed25519', 'rsa-sha2-512']));

interface Fed {
  readonly passed: string;
  readonly refused: string | undefined;
  readonly bytes: ServerBytes;
}

function feed(chunks: readonly Uint8Array[]): Fed {
  const bytes = new ServerBytes(limits);
  const passed: Uint8Array[] = [];
  for (const chunk of chunks) {
    const result = bytes.feed(chunk);
    if ('refuse' in result) return { passed: latin1(passed), refused: result.refuse, bytes };
    passed.push(result.pass);
  }
  return { passed: latin1(passed), refused: undefined, bytes };
}

const latin1 = (chunks: readonly Uint8Array[]): string => Buffer.concat(chunks).toString('latin1');
const whole = (...parts: (string | Uint8Array)[]): Buffer =>
  Buffer.concat(parts.map((part) => Buffer.from(part as string, 'latin1')));
const byteByByte = (data: Buffer): Buffer[] => Array.from(data, (byte) => Buffer.of(byte));

describe('ServerBytes', () => {
  test.each([
    ['alone', VERSION_LINE, VERSION_LINE],
    ['with a line feed only', 'SSH-2.0-x\n', 'SSH-2.0-x\r\n'],
    ['of a server that also speaks SSH 1', 'SSH-1.99-x y\r\n', 'SSH-1.99-x y\r\n'],
    ['after a banner', `hello\r\n\r\nSSH\r\n${VERSION_LINE}`, VERSION_LINE],
    ['as long as it may be', `SSH-2.0-${'x'.repeat(245)}\r\n`, `SSH-2.0-${'x'.repeat(245)}\r\n`],
    ['after a banner as long as it may be', `${'x'.repeat(590)}\r\nSSH-2.0-a\n`.slice(-600), 'SSH-2.0-a\r\n'],
  ])('lets a version line through %s', (_what, text, expected) => {
    for (const chunks of [[whole(text)], byteByByte(whole(text))]) {
      const { passed, refused, bytes } = feed(chunks);
      expect({ passed, refused, isSsh: bytes.isSsh }).toEqual({ passed: expected, refused: undefined, isSsh: true });
    }
  });

  test.each([
    ['SSH 1', 'SSH-1.5-x\r\n', 'not-ssh'],
    ['a version line too long', `SSH-2.0-${'x'.repeat(246)}\r\n`, 'not-ssh'],
    ['no software version', 'SSH-2.0-\r\n', 'not-ssh'],
    ['control characters', 'SSH-2.0-x\u001b[1m\r\n', 'not-ssh'],
    ['bytes over 127', 'SSH-2.0-x\u00e9\r\n', 'not-ssh'],
    ['a carriage return inside', 'SSH-2.0-x\ry\r\n', 'not-ssh'],
    ['NUL', 'SSH-2.0-x\0\r\n', 'not-ssh'],
    ['too many lines', `a\nb\nc\nd\n${VERSION_LINE}`, 'too-much-data'],
    ['too long a line', 'x'.repeat(600), 'too-much-data'],
    ['too many bytes in lines', `${'x'.repeat(300)}\n${'x'.repeat(300)}\n`, 'too-much-data'],
    ['too much in all', `${VERSION_LINE}${'x'.repeat(4096)}`, 'too-much-data'],
  ])('refuses %s', (_what, text, code) => {
    for (const chunks of [[whole(text)], byteByByte(whole(text))]) expect(feed(chunks).refused).toBe(code);
  });

  test('passes everything after the version line unchanged, and reads the host key algorithms, however it is cut', () => {
    const text = whole('banner\r\n', VERSION_LINE, KEXINIT, KEXINIT, 'more');
    const expected = latin1([whole(VERSION_LINE, KEXINIT, KEXINIT, 'more')]);
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 12 }), (cuts) => {
        const ends = [...cuts, text.length].toSorted((a, b) => a - b);
        const { passed, bytes } = feed(ends.map((end, i) => text.subarray(ends[i - 1] ?? 0, end)));
        expect(passed).toBe(expected);
        expect(bytes.offered).toEqual(['ssh-ed25519', 'rsa-sha2-512']);
      }),
    );
    expect(feed(byteByByte(text)).bytes.offered).toEqual(['ssh-ed25519', 'rsa-sha2-512']);
  });

  test.each([
    ['another message first', packet(Buffer.from([2, 0, 0, 0, 0]))],
    ['a KEXINIT that ends too soon', packet(kexinit(['ssh-ed25519']).subarray(0, 40))],
    ['an empty packet', Buffer.from([0, 0, 0, 0])],
    ['a packet of 2 GiB', Buffer.from([0x7f, 0xff, 0xff, 0xff, 4, 20])],
    [
      'names that are not UTF-8',
      packet(Buffer.concat([Buffer.of(20), Buffer.alloc(16), Buffer.of(0, 0, 0, 0, 0, 0, 0, 1, 0xff)])),
    ],
  ])('does not guess at the host key algorithms after %s', (_what, first) => {
    for (const chunks of [[whole(VERSION_LINE, first)], byteByByte(whole(VERSION_LINE, first))]) {
      const { passed, bytes } = feed(chunks);
      expect(bytes.offered).toBeUndefined();
      expect(passed).toBe(latin1([whole(VERSION_LINE, first)]));
    }
  });

  test('never throws, and never passes more than came', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 20 }),
        fc.boolean(),
        (chunks, versionFirst) => {
          const input = versionFirst ? [whole(VERSION_LINE), ...chunks] : chunks;
          expect(feed(input).passed.length).toBeLessThanOrEqual(Buffer.concat(input).length + 1);
        },
      ),
    );
  });
});
