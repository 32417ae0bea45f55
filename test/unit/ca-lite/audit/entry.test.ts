import { assert, jsonValue, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Json, canonicalJson } from '#ca-lite/audit/canonical-json.ts';
import {
  type AuditNote,
  MAX_DETAILS_LENGTH,
  MAX_SUBJECT_LENGTH,
  prepareNote,
  prepareStatement,
} from '#ca-lite/audit/entry.ts';

const note: AuditNote = { time: 0n, action: 'a', subject: {} };

describe('canonical JSON', () => {
  test('orders members as RFC 8785 does, by UTF-16 code units', () => {
    // The example of RFC 8785 section 3.2.3.
    const names = ['\u20ac', '\r', '\ufb33', '1', '\ud83d\ude00', '\u0080', '\u00f6'];
    const sorted = ['\r', '1', '\u0080', '\u00f6', '\u20ac', '\ud83d\ude00', '\ufb33'];
    const text = canonicalJson(Object.fromEntries(names.map((name) => [name, null])));
    expect(text).toBe(`{${sorted.map((name) => `${JSON.stringify(name)}:null`).join(',')}}`);
  });

  test('writes numbers as RFC 8785 does', () => {
    expect(canonicalJson([Number('333333333.33333329'), 1e30, 4.5, 2e-3, 1e-27, -0])).toBe(
      '[333333333.3333333,1e+30,4.5,0.002,1e-27,0]',
    );
  });

  test('gives back what went in, in the same bytes whatever the order of members', () => {
    const json = jsonValue({ maxDepth: 4, stringUnit: 'grapheme' }).filter(
      (value) => !JSON.stringify(value).includes('\\u0000'),
    );
    assert(
      property(json, (value) => {
        const text = canonicalJson(value as Json);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text) as Json)).toBe(text);
      }),
    );
    expect(canonicalJson({ b: 1, a: { d: 2, c: 3 } })).toBe(canonicalJson({ a: { c: 3, d: 2 }, b: 1 }));
  });

  test('refuses what would not come back as it was', () => {
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    const wrong = [
      undefined,
      1n,
      NaN,
      Infinity,
      '\ud800',
      'a\0b',
      new Date(0),
      new Map(),
      () => 1,
      cyclic,
      { a: undefined },
    ];
    for (const value of wrong) expect(() => canonicalJson(value as Json)).toThrow(TypeError);
  });
});

describe('a note', () => {
  test('has null for what it does not say, and canonical details', () => {
    expect(prepareNote({ ...note, subject: { name: 'web1' }, details: { b: 1, a: 2 } })).toEqual({
      time: 0n,
      action: 'a',
      details: '{"a":2,"b":1}',
      subject: {
        type: null,
        name: 'web1',
        serial: null,
        keyFingerprint: null,
        provisioner: null,
        requester: null,
        actor: null,
        requestId: null,
      },
    });
  });

  test('is taken at its bounds and refused beyond', () => {
    const long = (length: number) => ({ ...note, subject: { name: 'x'.repeat(length) } });
    expect(() => prepareNote(long(MAX_SUBJECT_LENGTH))).not.toThrow();
    expect(() => prepareNote(long(MAX_SUBJECT_LENGTH + 1))).toThrow(TypeError);
    const details = (length: number) => ({ ...note, details: { a: 'x'.repeat(length - '{"a":""}'.length) } });
    expect(() => prepareNote(details(MAX_DETAILS_LENGTH))).not.toThrow();
    expect(() => prepareNote(details(MAX_DETAILS_LENGTH + 1))).toThrow(TypeError);
    for (const serial of [-1n, 2n ** 64n])
      expect(() => prepareNote({ ...note, subject: { serial } })).toThrow(TypeError);
    expect(() => prepareNote({ ...note, subject: { serial: 2n ** 64n - 1n } })).not.toThrow();
    for (const time of [-1n, 2n ** 53n + 1n]) expect(() => prepareNote({ ...note, time })).toThrow(TypeError);
    for (const name of ['a\0b', '\udc00']) expect(() => prepareNote({ ...note, subject: { name } })).toThrow(TypeError);
  });

  test('has words in kebab-case', () => {
    for (const action of ['', 'Issue', 'a b', '-a', 'a-', 'a--b', 'x'.repeat(65)]) {
      expect(() => prepareNote({ ...note, action })).toThrow(TypeError);
      expect(() => prepareStatement({ ...note, outcome: 'refused', code: action })).toThrow(TypeError);
    }
    expect(prepareStatement({ ...note, outcome: 'refused', code: 'token-used' })).toMatchObject({ code: 'token-used' });
  });
});
