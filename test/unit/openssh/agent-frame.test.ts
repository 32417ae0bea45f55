import { array, assert, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { AgentFrameReader, encodeAgentFrame } from '#openssh/agent-frame.ts';
import { MAX_AGENT_MESSAGE_LENGTH } from '#openssh/agent-number.ts';

const code = (name: string): unknown => expect.objectContaining({ code: name });

function readAll(reader: AgentFrameReader): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let message = reader.next(); message !== undefined; message = reader.next()) messages.push(message.slice());
  return messages;
}

test('gives the same messages whatever the pieces, down to single bytes', () => {
  const messages = array(uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 8 });
  assert(
    property(messages, array(uint8Array({ minLength: 1, maxLength: 1 })), (list, cuts) => {
      const stream = Buffer.concat(list.map(encodeAgentFrame));
      const reader = new AgentFrameReader();
      const got: Uint8Array[] = [];
      for (let at = 0, cut = 0; at < stream.length; cut++) {
        const length = (cuts[cut]?.[0] ?? 0) % 16 || 1;
        reader.push(new Uint8Array(stream.subarray(at, at + length)));
        got.push(...readAll(reader));
        at += length;
      }
      expect(got).toEqual(list);
      expect(reader.pendingLength).toBe(0);
    }),
  );
});

test('takes a message of exactly 256 KiB and refuses one more byte before it arrives', () => {
  const reader = new AgentFrameReader();
  reader.push(encodeAgentFrame(new Uint8Array(MAX_AGENT_MESSAGE_LENGTH).fill(7)));
  expect(reader.next()?.length).toBe(MAX_AGENT_MESSAGE_LENGTH);
  reader.push(Uint8Array.of(0, 4, 0, 1));
  expect(() => reader.next()).toThrow(code('too-large'));
  expect(() => encodeAgentFrame(new Uint8Array(MAX_AGENT_MESSAGE_LENGTH + 1))).toThrow(TypeError);
});

test('refuses an empty message', () => {
  const reader = new AgentFrameReader();
  reader.push(Uint8Array.of(0, 0, 0, 0));
  expect(() => reader.next()).toThrow(code('bad-value'));
});

test('wipes the pieces that it joined: they may hold a private key', () => {
  const frame = encodeAgentFrame(Uint8Array.of(17, 1, 2, 3));
  const pieces = [frame.slice(0, 6), frame.slice(6)];
  const reader = new AgentFrameReader();
  for (const piece of pieces) reader.push(piece);
  expect(reader.next()).toEqual(Uint8Array.of(17, 1, 2, 3));
  expect(pieces.every((piece) => piece.every((byte) => byte === 0))).toBe(true);
});
