import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HandshakeReader, encodePacket } from '#agent/host/ssh-packet.ts';
import { FormatError } from '#openssh/format-error.ts';

const padding = new Uint8Array(16).fill(7);
const text = (value: string) => new TextEncoder().encode(value);

describe('packets', () => {
  test('come out as they went in, whatever the pieces, behind the identification', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 })),
        fc.integer({ min: 1, max: 50 }),
        (payloads, size) => {
          const stream = Buffer.concat([
            text('hello\r\nSSH-2.0-x\r\n'),
            ...payloads.map((payload) => encodePacket(payload, padding)),
          ]);
          const reader = new HandshakeReader();
          const found: Uint8Array[] = [];
          let identification: string | undefined;
          for (let start = 0; start < stream.length; start += size) {
            reader.push(stream.subarray(start, start + size));
            identification ??= reader.identification();
            if (identification === undefined) continue;
            for (let packet = reader.packet(); packet !== undefined; packet = reader.packet()) found.push(packet);
          }
          expect(identification).toBe('SSH-2.0-x');
          expect(found.map((payload) => Uint8Array.from(payload))).toEqual(payloads);
        },
      ),
    );
  });

  test('are padded to whole blocks, with at least four bytes', () => {
    for (let length = 1; length < 40; length += 1) {
      const packet = encodePacket(new Uint8Array(length), padding);
      expect(packet.length % 8).toBe(0);
      expect(packet[4]).toBeGreaterThanOrEqual(4);
      expect(packet.length).toBe(5 + length + (packet[4] ?? 0));
    }
  });

  test.each([
    ['a length beyond the bound', [0, 0, 0x88, 0xb9, 4, 0]],
    ['more padding than packet', [0, 0, 0, 5, 4, 0, 0, 0, 0, 0]],
  ])('with %s are refused', (_, bytes) => {
    const reader = new HandshakeReader();
    reader.push(Uint8Array.from(bytes));
    expect(() => reader.packet()).toThrow(FormatError);
  });
});

describe('the identification', () => {
  test.each([
    ['a line without end', 'x'.repeat(256)],
    ['a long line', `${'x'.repeat(300)}\n`],
    ['too many lines', 'x\n'.repeat(60)],
    ['bytes that are no text', '\u0000\n'],
  ])('is refused for %s', (_, bytes) => {
    const reader = new HandshakeReader();
    reader.push(text(bytes));
    expect(() => reader.identification()).toThrow(FormatError);
  });
});
