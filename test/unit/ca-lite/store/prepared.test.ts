import { describe, expect, test } from 'vitest';
import type { IssuanceIntent } from '#ca-lite/store/decisions.ts';
import { MAX_SIGNED_BYTES_LENGTH } from '#ca-lite/store/decisions.ts';
import {
  prepareClear,
  prepareHostToken,
  prepareIntent,
  preparePrune,
  prepareResult,
  prepareStatements,
  prepareToken,
} from '#ca-lite/store/prepared.ts';
import { binding, hostToken, intent, note, now, result, token } from '../../../contract/store-requests.ts';

const text = (length: number) => 'x'.repeat(length);

const taken: readonly Partial<IssuanceIntent>[] = [
  { serial: 1n },
  { serial: 2n ** 64n - 1n },
  { validAfter: 0n, validBefore: 1n },
  { validBefore: 2n ** 53n },
  { principals: Array.from({ length: 256 }, (_, n) => `p${n}`) },
  { principals: [text(1024)] },
  { signedBytes: new Uint8Array(MAX_SIGNED_BYTES_LENGTH) },
];

const refused: readonly Partial<IssuanceIntent>[] = [
  { serial: 0n },
  { serial: -1n },
  { serial: 2n ** 64n },
  { predecessor: 0n },
  { validAfter: now, validBefore: now },
  { validAfter: now + 1n, validBefore: now },
  { validBefore: 2n ** 64n - 1n },
  { validAfter: -1n },
  { principals: [] },
  { principals: [''] },
  { principals: ['a', text(1025)] },
  { principals: Array.from({ length: 257 }, (_, n) => `p${n}`) },
  { principals: ['nul\0'] },
  { keyId: '\ud800' },
  { keyFingerprint: '' },
  { provisioner: text(1025) },
  { lineage: '' },
  { signedBytes: new Uint8Array() },
  { signedBytes: new Uint8Array(MAX_SIGNED_BYTES_LENGTH + 1) },
  { token: token('') },
  { token: token(text(257)) },
  { token: token('t', false, -1n) },
  { host: { ...binding('web1'), addresses: [] } },
  { host: { ...binding('web1'), names: [] } },
  { host: { ...binding('web1'), vouchedBy: '' } },
  { audit: { ...note('no action') } },
];

describe('a request for the writer', () => {
  test.for(taken)('is taken at its bounds: %o', (changes) => {
    expect(prepareIntent(intent(5n, changes))).toMatchObject({ serial: changes.serial ?? 5n });
  });

  test.for(refused)('is refused beyond: %o', (changes) => {
    expect(() => prepareIntent(intent(5n, changes))).toThrow(TypeError);
  });

  test('has bytes of its own, so that no pool of buffers travels with them', () => {
    const pooled = Buffer.from(intent(5n).signedBytes);
    expect(pooled.buffer.byteLength).toBeGreaterThan(pooled.length);
    const { signedBytes } = prepareIntent(intent(5n, { signedBytes: pooled }));
    expect(signedBytes.buffer.byteLength).toBe(pooled.length);
    expect(Buffer.from(signedBytes)).toEqual(pooled);
    pooled.fill(0);
    expect(Buffer.from(signedBytes)).not.toEqual(pooled);
  });

  test('is refused when a part of it is', () => {
    const bad = token('t', false, 2n ** 53n + 1n);
    expect(() => prepareToken({ token: bad, audit: note('x') })).toThrow(TypeError);
    expect(() => prepareHostToken({ ...hostToken('a', binding('web1')), nonce: bad })).toThrow(TypeError);
    expect(() => prepareHostToken({ ...hostToken('a', binding('web1')), token: bad })).toThrow(TypeError);
    expect(() => prepareResult(result(1n, { certificate: new Uint8Array() }))).toThrow(TypeError);
    expect(() => prepareResult(result(0n))).toThrow(TypeError);
    expect(() => prepareClear({ name: '', now, audit: note('x') })).toThrow(TypeError);
    expect(() => prepareStatements([])).toThrow(TypeError);
    const statement = { ...note('x'), outcome: 'refused', code: 'x' } as const;
    expect(() => prepareStatements(Array.from({ length: 1001 }, () => statement))).toThrow(TypeError);
    expect(prepareStatements([statement])).toHaveLength(1);
  });

  test('prunes a bounded number of rows, and nothing from before the epoch', () => {
    const request = { now, leewaySeconds: 60n, limit: 1 };
    expect(preparePrune({ ...request, limit: 10_000 })).toEqual({ ...request, limit: 10_000 });
    for (const limit of [0, -1, 0.5, NaN, 10_001]) expect(() => preparePrune({ ...request, limit })).toThrow(TypeError);
    for (const leewaySeconds of [-1n, now + 1n])
      expect(() => preparePrune({ ...request, leewaySeconds })).toThrow(TypeError);
  });
});
