/** The contract of the audit log: an entry for each decision, and no way to change one unseen. */
import { describe, expect, test } from 'vitest';
import { verifyStoredAudit } from '#ca-lite/audit/verify-store.ts';
import type { ChainFaultKind } from '#ca-lite/audit/verify.ts';
import type { Store } from '#ca-lite/store/store.ts';
import { walk } from './store-issuance.ts';
import type { MakeHome, StoreHome } from './store.ts';
import { binding, enrolment, hostToken, intent, note, now, result, token } from './store-requests.ts';

/** Twenty entries, from ten certificates. */
async function populate(store: Store): Promise<void> {
  for (let serial = 1n; serial <= 10n; serial += 1n) {
    await store.recordIntent(intent(serial));
    await store.recordResult(result(serial));
  }
}

const columns = `time, action, outcome, code, type, name, serial, key_fingerprint, provisioner, requester, actor,
  request_id, details, hash`;

/** What an attacker with the database does, and the faults that it shows as. */
const attacks: readonly [string, string, readonly [ChainFaultKind, bigint][]][] = [
  ['another requester', `UPDATE audit SET requester = '198.51.100.1' WHERE sequence = 5`, [['changed', 5n]]],
  ['no requester', `UPDATE audit SET requester = NULL WHERE sequence = 5`, [['changed', 5n]]],
  [
    'a field moved to its neighbour',
    `UPDATE audit SET actor = requester, requester = NULL WHERE sequence = 5`,
    [['changed', 5n]],
  ],
  ['other details', `UPDATE audit SET details = '{}' WHERE sequence = 5`, [['changed', 5n]]],
  ['another time', `UPDATE audit SET time = time + 1 WHERE sequence = 1`, [['changed', 1n]]],
  ['another verdict', `UPDATE audit SET outcome = 'refused' WHERE sequence = 20`, [['changed', 20n]]],
  [
    'another serial',
    `UPDATE audit SET serial = (SELECT serial FROM audit WHERE sequence = 7) WHERE sequence = 5`,
    [['changed', 5n]],
  ],
  ['no serial', `UPDATE audit SET serial = NULL WHERE sequence = 5`, [['changed', 5n]]],
  [
    'another hash',
    `UPDATE audit SET hash = (SELECT hash FROM audit WHERE sequence = 7) WHERE sequence = 5`,
    [
      ['changed', 5n],
      ['changed', 6n],
    ],
  ],
  [
    'two entries changed',
    `UPDATE audit SET code = 'x' WHERE sequence IN (3, 9)`,
    [
      ['changed', 3n],
      ['changed', 9n],
    ],
  ],
  ['an entry removed', `DELETE FROM audit WHERE sequence = 5`, [['missing', 5n]]],
  ['the first entry removed', `DELETE FROM audit WHERE sequence = 1`, [['missing', 1n]]],
  ['entries removed', `DELETE FROM audit WHERE sequence BETWEEN 5 AND 8`, [['missing', 5n]]],
  [
    'two entries swapped',
    `UPDATE audit SET sequence = 100 WHERE sequence = 5; UPDATE audit SET sequence = 5 WHERE sequence = 6;
     UPDATE audit SET sequence = 6 WHERE sequence = 100`,
    [
      ['changed', 5n],
      ['changed', 6n],
      ['changed', 7n],
    ],
  ],
  [
    'an entry moved to the front',
    `UPDATE audit SET sequence = -1 WHERE sequence = 5`,
    [
      ['reordered', -1n],
      ['missing', 5n],
    ],
  ],
  [
    'an entry removed and the gap closed',
    `DELETE FROM audit WHERE sequence = 19; UPDATE audit SET sequence = 19 WHERE sequence = 20;
     UPDATE ledger SET audit_count = 19`,
    [['changed', 19n]],
  ],
  ['the end cut off', `DELETE FROM audit WHERE sequence > 15`, [['truncated', 16n]]],
  ['everything removed', `DELETE FROM audit`, [['truncated', 1n]]],
  [
    'an entry added after the end',
    `INSERT INTO audit (sequence, ${columns}) SELECT 21, ${columns} FROM audit WHERE sequence = 20`,
    [
      ['changed', 21n],
      ['surplus', 21n],
    ],
  ],
  [
    'another head',
    `UPDATE ledger SET audit_hash = (SELECT hash FROM audit WHERE sequence = 19)`,
    [['head-differs', 20n]],
  ],
  ['a head that is too far', `UPDATE ledger SET audit_count = 21`, [['truncated', 21n]]],
];

export function auditContract(makeHome: MakeHome): void {
  describe('audit', () => {
    test('has one entry for each decision, with its verdict, in order', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await store.recordHostToken(hostToken('a', binding('web1')));
      await store.recordHostToken(hostToken('a', binding('web1')));
      await store.recordIntent(enrolment(1n, binding('web1'), { token: token('token a', true) }));
      await store.recordResult(result(1n));
      await store.recordResult(result(1n));
      await store.abandonIntent({ serial: 9n, now, audit: note('certificate-abandon', { serial: 9n }) });
      await store.recordToken({ token: token('t'), audit: note('token-make', { actor: 'admin' }) });
      await store.consumeToken({ token: token('t', true), audit: note('token-use') });
      await store.clearHost({ name: 'web1', now, audit: note('host-clear', { name: 'web1', actor: 'admin' }) });
      const statement = {
        ...note('host-challenge', { name: 'x' }),
        outcome: 'failed',
        code: 'dial-back-failed',
      } as const;
      expect(await store.appendAudit([statement, { ...statement, outcome: 'refused' }])).toBe(11n);
      await store.prune({ now, leewaySeconds: 0n, limit: 1 });
      const entries = await store.auditFrom(1n, 100);
      expect(entries.map(({ sequence, action, outcome, code }) => [sequence, action, outcome, code])).toEqual([
        [1n, 'host-token', 'allowed', 'ok'],
        [2n, 'host-token', 'refused', 'nonce-used'],
        [3n, 'certificate-intend', 'allowed', 'ok'],
        [4n, 'certificate-issue', 'allowed', 'ok'],
        [5n, 'certificate-issue', 'allowed', 'already-recorded'],
        [6n, 'certificate-abandon', 'refused', 'intent-unknown'],
        [7n, 'token-make', 'allowed', 'ok'],
        [8n, 'token-use', 'allowed', 'ok'],
        [9n, 'host-clear', 'allowed', 'ok'],
        [10n, 'host-challenge', 'failed', 'dial-back-failed'],
        [11n, 'host-challenge', 'refused', 'dial-back-failed'],
      ]);
      expect(entries[2]).toMatchObject({ time: now, subject: { name: 'web1.example.com', serial: 1n, actor: null } });
      expect(entries[0]?.details).toBe('{"from":"a test"}');
      expect((await store.auditHead()).count).toBe(11n);
    });

    test('keeps any text and the largest serial as they were', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const subject = { name: `it's "quoted" \\ 例 🔑\n`, serial: 0xffff_ffff_ffff_ffffn, actor: '' };
      const statement = { ...note('odd', subject), details: { z: [1, 2.5, null], a: { ö: '\u2028' } } };
      await store.appendAudit([{ ...statement, outcome: 'allowed', code: 'ok' }]);
      const [entry] = await store.auditFrom(1n, 1);
      expect(entry).toMatchObject({ subject, details: '{"a":{"ö":"\u2028"},"z":[1,2.5,null]}' });
      expect(await verifyStoredAudit(store)).toMatchObject({ ok: true, entries: 1n });
    });

    test('is found by serial, name, verdict and action, newest first, in pages', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await populate(store);
      await store.recordIntent(intent(3n));
      const found = async (filter: Parameters<Store['audit']>[0]) =>
        (await walk((page) => store.audit(filter, page), 3)).map(({ sequence }) => sequence);
      expect(await found({ serial: 3n })).toEqual([21n, 6n, 5n]);
      expect(await found({ name: 'web3.example.com' })).toEqual([21n, 5n]);
      expect(await found({ outcome: 'refused' })).toEqual([21n]);
      expect(await found({ outcome: 'allowed', serial: 3n })).toEqual([6n, 5n]);
      expect(await found({ action: 'certificate-issue' })).toEqual(
        Array.from({ length: 10 }, (_, n) => BigInt(20 - 2 * n)),
      );
      expect(await found({})).toHaveLength(21);
    });

    test('verifies while it is written to, up to the head it had', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await populate(store);
      let serial = 100n;
      const report = await verifyStoredAudit({
        auditHead: () => store.auditHead(),
        auditFrom: async (sequence, limit) => {
          await store.recordIntent(intent((serial += 1n)));
          return store.auditFrom(sequence, limit);
        },
      });
      expect(report).toMatchObject({ ok: true, entries: 20n });
    });

    test.for(attacks)('shows %s', async ([, sql, faults]) => {
      await using home = await makeHome();
      await using store = await home.open();
      await populate(store);
      expect(await verifyStoredAudit(store)).toMatchObject({ ok: true, entries: 20n, faults: [] });
      await home.tamper(sql);
      const report = await verifyStoredAudit(store);
      expect(report.faults.map(({ kind, sequence }) => [kind, sequence])).toEqual(faults);
      expect(report.ok).toBe(false);
    });

    test.for([
      [
        'cut back',
        `DELETE FROM audit WHERE sequence > 15;
        UPDATE ledger SET audit_count = 15, audit_hash = (SELECT hash FROM audit WHERE sequence = 15)`,
        15n,
      ],
      [
        'emptied and started again',
        `UPDATE ledger SET audit_count = 5, audit_hash = (SELECT hash FROM audit WHERE sequence = 5);
        DELETE FROM audit WHERE sequence > 5`,
        5n,
      ],
    ] as const)('a log %s together with its head shows against a head kept elsewhere', async ([, sql, count]) => {
      await using home = await makeHome();
      await using store = await home.open();
      await populate(store);
      const { hash } = await store.auditHead();
      await home.tamper(sql);
      expect(await verifyStoredAudit(store)).toMatchObject({ ok: true, entries: count });
      const report = await verifyStoredAudit(store, { expect: hash });
      expect(report).toMatchObject({
        ok: false,
        expectedAt: null,
        faults: [{ kind: 'expected-absent', sequence: count }],
      });
    });

    test.for([
      ['entries after its head', `UPDATE ledger SET audit_count = 19`],
      ['no head', 'DELETE FROM ledger'],
    ] as const)('nothing is decided on a log with %s', async ([, sql]) => {
      await using home = await makeHome();
      await using store = await home.open();
      await populate(store);
      await home.tamper(sql);
      await expect(store.recordIntent(intent(50n))).rejects.toMatchObject({ code: 'store-corrupt' });
      expect(await store.certificate(50n)).toBeNull();
    });

    test('finds a head kept elsewhere long after', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await populate(store);
      const { hash } = await store.auditHead();
      await store.recordIntent(intent(50n));
      expect(await verifyStoredAudit(store, { expect: hash })).toMatchObject({
        ok: true,
        entries: 21n,
        expectedAt: 20n,
      });
    });

    test('goes on in the chain that is stored after it was reopened', async () => {
      await using home: StoreHome = await makeHome();
      for (let serial = 1n; serial <= 3n; serial += 1n) {
        await using store = await home.open();
        await store.recordIntent(intent(serial));
      }
      await using reader = await home.openReader();
      expect(await verifyStoredAudit(reader)).toMatchObject({ ok: true, entries: 3n });
    });
  });
}
