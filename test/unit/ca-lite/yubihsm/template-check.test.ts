/** Which timestamp makes a certificate acceptable under every reading of a template's offsets. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeToBeSigned } from '#openssh/certificate.ts';
import type { PublicKey } from '#openssh/public-key.ts';
import { timestampFor } from '#ca-lite/yubihsm/template-check.ts';
import { withinOffsets } from '#test/yubihsm-simulator/offset-rule.ts';

const now = 1_800_000_000;
const caKey: PublicKey = { type: 'ssh-rsa', exponent: Uint8Array.of(1, 0, 1), modulus: new Uint8Array(256).fill(0xc1) };
const situation = {
  template: {
    timestampModulus: new Uint8Array(256).fill(0xc2),
    caKeyIds: [5],
    notBeforeOffsetSeconds: 10,
    notAfterOffsetSeconds: 3600,
    forbiddenPrincipals: ['root', 'toor'],
  },
  caKeyId: 5,
  caKey,
  nowSeconds: now,
  maxBackdateSeconds: 120,
};

function tbs(validAfter: number, validBefore: number, principals = ['alice'], signatureKey = caKey): Uint8Array {
  return encodeToBeSigned({
    key: { type: 'ssh-ed25519', key: new Uint8Array(32).fill(7) },
    type: 'user',
    serial: 1n,
    keyId: 'alice',
    principals,
    validAfter: BigInt(validAfter),
    validBefore: BigInt(validBefore),
    criticalOptions: [],
    extensions: [],
    nonce: new Uint8Array(32),
    signatureKey,
  });
}

test('a certificate that starts late enough gets the true time', () => {
  expect(timestampFor(tbs(now + 10, now + 3600), situation)).toBe(now);
  expect(timestampFor(tbs(now + 500, now + 3600), situation)).toBe(now);
});

test('a certificate that starts a little before gets a timestamp that is as much older', () => {
  expect(timestampFor(tbs(now - 60, now + 1000), situation)).toBe(now - 70);
  expect(timestampFor(tbs(now - 110, now + 1000), situation)).toBe(now - 120);
});

test.each([
  ['starts too long ago', tbs(now - 111, now + 1000)],
  ['lasts a second too long', tbs(now + 10, now + 3601)],
  ['lasts too long for the older timestamp that its start demands', tbs(now - 60, now + 3600)],
  ['has a forbidden principal', tbs(now + 10, now + 100, ['alice', 'toor'])],
  ['names another CA key', tbs(now + 10, now + 100, ['a'], { ...caKey, modulus: new Uint8Array(256).fill(0xc3) })],
  ['is none', new Uint8Array(100)],
])('a certificate that %s is refused', (_, bytes) => {
  expect(() => timestampFor(bytes, situation)).toThrow(expect.objectContaining({ code: 'template-violation' }));
});

test('a CA key that is not in the template signs nothing', () => {
  const other = { ...situation, caKeyId: 6 };
  expect(() => timestampFor(tbs(now + 10, now + 100), other)).toThrow(
    expect.objectContaining({ code: 'template-violation' }),
  );
});

test('whatever is accepted is accepted under both readings of the offsets', () => {
  const times = fc.record({
    notBefore: fc.integer({ min: 0, max: 600 }),
    notAfter: fc.integer({ min: 1, max: 100_000 }),
    start: fc.integer({ min: -700, max: 700 }),
    lasts: fc.integer({ min: 1, max: 120_000 }),
  });
  fc.assert(
    fc.property(times, ({ notBefore, notAfter, start, lasts }) => {
      const template = { ...situation.template, notBeforeOffsetSeconds: notBefore, notAfterOffsetSeconds: notAfter };
      const [validAfter, validBefore] = [now + start, now + start + lasts];
      let timestamp: number;
      try {
        timestamp = timestampFor(tbs(validAfter, validBefore), { ...situation, template });
      } catch {
        return;
      }
      const rule = { validAfter: BigInt(validAfter), validBefore: BigInt(validBefore), timestamp, notBefore, notAfter };
      expect(withinOffsets(rule, 'text')).toBe(true);
      expect(withinOffsets(rule, 'examples')).toBe(true);
    }),
  );
});
