import { hash } from 'node:crypto';
import { assert, constantFrom, integer, pre, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { emptyChain, entryHash } from '#ca-lite/audit/chain.ts';
import { type AuditEntry, type AuditNote, prepareNote } from '#ca-lite/audit/entry.ts';
import { type ChainFaultKind, ChainVerifier, MAX_FAULTS, verifyChain } from '#ca-lite/audit/verify.ts';

const note: AuditNote = {
  time: 1_800_000_000n,
  action: 'certificate-issue',
  subject: { type: 'host', name: 'web1', serial: 2n ** 64n - 1n, requester: '192.0.2.7' },
  details: { principals: ['web1'] },
};

/** A sound log of `length` entries. */
function log(length: number): AuditEntry[] {
  const entries: AuditEntry[] = [];
  let previous = emptyChain.hash;
  for (let n = 1; n <= length; n += 1) {
    const prepared = prepareNote({ ...note, subject: { ...note.subject, name: `web${n}` } });
    const entry = { ...prepared, sequence: BigInt(n), outcome: 'allowed', code: 'ok' } as const;
    previous = entryHash(previous, entry);
    entries.push({ ...entry, hash: previous });
  }
  return entries;
}

const headOf = (entries: readonly AuditEntry[]) => ({
  count: BigInt(entries.length),
  hash: entries.at(-1)?.hash ?? emptyChain.hash,
});

function faultsOf(entries: readonly AuditEntry[], head = headOf(log(8)), expectedHash?: Uint8Array) {
  const { faults, ok } = verifyChain(entries, { head, expect: expectedHash });
  expect(ok).toBe(faults.length === 0);
  return faults.map(({ kind, sequence }): [ChainFaultKind, bigint] => [kind, sequence]);
}

describe('the hash of an entry', () => {
  test('is what the header of chain.ts says', () => {
    const [first] = log(1);
    const elements = [
      'countersign-audit-entry-v1',
      '0'.repeat(64),
      '1',
      '1800000000',
      'certificate-issue',
      'allowed',
      'ok',
      'host',
      'web1',
      '18446744073709551615',
      null,
      null,
      '192.0.2.7',
      null,
      null,
      '{"principals":["web1"]}',
    ];
    expect(elements).toHaveLength(16);
    expect(first?.hash).toEqual(hash('sha256', JSON.stringify(elements), 'buffer'));
  });

  test('changes with each field, also when text moves from one field to the next', () => {
    const [entry] = log(1);
    if (entry === undefined) throw new Error('unreachable');
    const { subject } = entry;
    const variants: AuditEntry[] = [
      { ...entry, sequence: 2n },
      { ...entry, time: entry.time + 1n },
      { ...entry, action: 'certificate-renew' },
      { ...entry, outcome: 'failed' },
      { ...entry, code: 'okay' },
      { ...entry, details: '{}' },
      { ...entry, subject: { ...subject, type: 'user' } },
      { ...entry, subject: { ...subject, type: null } },
      { ...entry, subject: { ...subject, name: '' } },
      { ...entry, subject: { ...subject, name: null } },
      { ...entry, subject: { ...subject, serial: 1n } },
      { ...entry, subject: { ...subject, keyFingerprint: 'x' } },
      { ...entry, subject: { ...subject, provisioner: 'x' } },
      { ...entry, subject: { ...subject, requester: null, actor: subject.requester } },
      { ...entry, subject: { ...subject, requestId: 'x' } },
      { ...entry, action: 'certificate-issueallowed', outcome: '' as 'allowed' },
    ];
    const hashes = [entry, ...variants].map((variant) =>
      Buffer.from(entryHash(emptyChain.hash, variant)).toString('hex'),
    );
    hashes.push(Buffer.from(entryHash(entry.hash, entry)).toString('hex'));
    expect(new Set(hashes).size).toBe(variants.length + 2);
  });
});

describe('verifying a log', () => {
  test('finds nothing in a sound one, whatever its length', () => {
    for (const length of [0, 1, 2, 8]) {
      const entries = log(length);
      const report = verifyChain(entries, { head: headOf(entries) });
      expect(report).toMatchObject({ ok: true, entries: BigInt(length), faultCount: 0, expectedAt: null });
      expect(report.hash).toEqual(headOf(entries).hash);
    }
  });

  test('finds any single change of any entry, at its number', () => {
    assert(
      property(
        integer({ min: 0, max: 7 }),
        constantFrom('action', 'outcome', 'code', 'details'),
        string(),
        (index, field, text) => {
          const entries = log(8);
          const entry = entries[index];
          pre(entry !== undefined && entry[field] !== text);
          entries[index] = { ...entry, [field]: text };
          expect(faultsOf(entries)).toEqual([['changed', BigInt(index + 1)]]);
        },
      ),
    );
  });

  test('finds entries that are missing, doubled, out of order or at the wrong place', () => {
    const entries = log(8);
    const [a, b, c, d, ...rest] = entries as [AuditEntry, AuditEntry, AuditEntry, AuditEntry, ...AuditEntry[]];
    expect(faultsOf([a, b, d, ...rest])).toEqual([['missing', 3n]]);
    expect(faultsOf([a, ...rest])).toEqual([['missing', 2n]]);
    expect(faultsOf([a, b, b, c, d, ...rest])).toEqual([['reordered', 2n]]);
    expect(faultsOf([a, c, b, d, ...rest])).toEqual([
      ['missing', 2n],
      ['reordered', 2n],
    ]);
    const swapped = [a, { ...c, sequence: 2n }, { ...b, sequence: 3n }, d, ...rest];
    expect(faultsOf(swapped)).toEqual([
      ['changed', 2n],
      ['changed', 3n],
      ['changed', 4n],
    ]);
  });

  test('finds an end that is cut off, or goes on after the head, or is another', () => {
    const entries = log(8);
    expect(faultsOf(entries.slice(0, 5))).toEqual([['truncated', 6n]]);
    expect(faultsOf([])).toEqual([['truncated', 1n]]);
    expect(faultsOf(log(10))).toEqual([['surplus', 9n]]);
    expect(faultsOf(entries, { count: 8n, hash: new Uint8Array(32) })).toEqual([['head-differs', 8n]]);
    expect(faultsOf([], emptyChain)).toEqual([]);
  });

  test('cannot find a log that was rewritten with its head, except against a hash kept elsewhere', () => {
    const kept = headOf(log(8)).hash;
    const rewritten: AuditEntry[] = [];
    let previous = emptyChain.hash;
    for (const entry of log(8)) {
      const changed = { ...entry, subject: { ...entry.subject, name: 'innocent' } };
      previous = entryHash(previous, changed);
      rewritten.push({ ...changed, hash: previous });
    }
    expect(faultsOf(rewritten, headOf(rewritten))).toEqual([]);
    expect(faultsOf(rewritten, headOf(rewritten), kept)).toEqual([['expected-absent', 8n]]);
  });

  test('says at which entry a hash kept elsewhere is found', () => {
    const entries = log(8);
    for (const index of [0, 3, 7]) {
      const report = verifyChain(entries, { head: headOf(entries), expect: entries[index]?.hash });
      expect(report).toMatchObject({ ok: true, expectedAt: BigInt(index + 1) });
    }
  });

  test('keeps a bounded list of faults, and counts them all', () => {
    const entries = log(MAX_FAULTS + 50).map((entry) => ({ ...entry, code: 'changed' }));
    const report = verifyChain(entries, { head: headOf(entries) });
    expect(report.faults).toHaveLength(MAX_FAULTS);
    expect(report.faultCount).toBe(MAX_FAULTS + 50);
  });

  test('comes to the same in steps', () => {
    const entries = log(8).filter(({ sequence }) => sequence !== 4n);
    const verifier = new ChainVerifier({ head: headOf(log(8)) });
    for (const entry of entries) verifier.push(entry);
    expect(verifier.finish()).toEqual(verifyChain(entries, { head: headOf(log(8)) }));
  });
});
