/** The contract of certificates: intended, issued or abandoned, and found again by whatever is known of them. */
import { describe, expect, test } from 'vitest';
import type { CertificateFilter, CertificateRecord, PageRequest, Page } from '#ca-lite/store/records.ts';
import type { Store } from '#ca-lite/store/store.ts';
import type { MakeHome } from './store.ts';
import { certificate, fingerprint, intent, note, now, result, signedBytes } from './store-requests.ts';

/** Every item, walking pages of this length. */
export async function walk<Item>(page: (request: PageRequest) => Promise<Page<Item>>, limit: number): Promise<Item[]> {
  const items: Item[] = [];
  for (let cursor: string | undefined; ;) {
    const found = await page(cursor === undefined ? { limit } : { limit, cursor });
    expect(found.items.length).toBeLessThanOrEqual(limit);
    items.push(...found.items);
    if (found.next === null) return items;
    cursor = found.next;
  }
}

const serialsOf = (records: readonly CertificateRecord[]) => records.map(({ serial }) => serial);
const walkCertificates = async (store: Store, filter: CertificateFilter, limit = 7) =>
  serialsOf(await walk((page) => store.certificates(filter, page), limit));

export function issuanceContract(makeHome: MakeHome): void {
  describe('issuance', () => {
    test('keeps every field and every byte, also at the ends of a uint64', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const serial = 0xffff_ffff_ffff_ffffn;
      const fields = {
        lineage: 'line-1',
        predecessor: 2n ** 63n,
        principals: ['web1', '10.0.0.1', 'ﬁne.例'],
        keyId: 'a"b',
      };
      await store.recordIntent(intent(serial, fields));
      const intended = await store.certificate(serial);
      const { signedBytes: bytes, keyFingerprint, provisioner, requester, validAfter, validBefore } = intent(serial);
      expect(intended).toEqual({
        serial,
        type: 'host',
        state: 'intended',
        keyFingerprint,
        ...fields,
        validAfter,
        validBefore,
        provisioner,
        requester,
        intendedAt: now,
        finishedAt: null,
        identity: null,
        certificate: null,
        signedBytes: new Uint8Array(bytes),
      });
      await store.recordResult(result(serial));
      expect(await store.certificate(serial)).toMatchObject({ state: 'issued', finishedAt: now + 1n });
      expect((await store.certificate(serial))?.certificate).toEqual(certificate(serial));
      expect(await store.certificate(1n)).toBeNull();
    });

    test('takes a result only for an intent that is open, and only the certificate that was intended', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await store.recordIntent(intent(1n));
      expect(await store.recordResult(result(2n))).toMatchObject({ refusal: 'intent-unknown' });
      for (const wrong of [certificate(2n), signedBytes(1n), signedBytes(1n).subarray(1)]) {
        const refused = await store.recordResult(result(1n, { certificate: wrong }));
        expect(refused).toMatchObject({ refusal: 'certificate-differs' });
      }
      expect(await store.recordResult(result(1n))).toMatchObject({ accepted: true });
      const other = Buffer.concat([signedBytes(1n), Buffer.from('another signature')]);
      expect(await store.recordResult(result(1n, { certificate: other }))).toMatchObject({ refusal: 'intent-closed' });
      expect(await store.recordResult(result(1n))).toMatchObject({ accepted: true });
      expect((await store.counts()).certificates.host).toEqual({ intended: 0n, issued: 1n, abandoned: 0n });
      expect((await store.certificate(1n))?.certificate).toEqual(certificate(1n));
    });

    test.each([true, false])(
      'gives the token of an abandoned intent back, for one certificate (recorded: %s)',
      async (recorded) => {
        await using home = await makeHome();
        await using store = await home.open();
        const token = { id: 'given-back', expiresAt: now + 600n, recorded };
        if (recorded) await store.recordToken({ token, audit: note('token-make') });
        expect(await store.recordIntent(intent(1n, { token }))).toMatchObject({ accepted: true });
        expect(await store.recordIntent(intent(2n, { token }))).toMatchObject({ refusal: 'token-used' });
        const abandoned = { serial: 1n, now, token, audit: note('certificate-abandon') };
        expect(await store.abandonIntent(abandoned)).toMatchObject({ accepted: true });
        expect(await store.recordIntent(intent(3n, { token }))).toMatchObject({ accepted: true });
        expect(await store.recordResult(result(3n))).toMatchObject({ accepted: true });
        // Neither the closed intent nor the certificate gives it back once more.
        for (const serial of [1n, 3n])
          expect(await store.abandonIntent({ ...abandoned, serial })).toMatchObject({ refusal: 'intent-closed' });
        expect(await store.recordIntent(intent(4n, { token }))).toMatchObject({ refusal: 'token-used' });
      },
    );

    test('closes an abandoned intent for good', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const abandoned = (serial: bigint) => ({ serial, now: now + 5n, audit: note('certificate-abandon', { serial }) });
      await store.recordIntent(intent(1n));
      expect(await store.abandonIntent(abandoned(2n))).toMatchObject({ refusal: 'intent-unknown' });
      expect(await store.abandonIntent(abandoned(1n))).toMatchObject({ accepted: true });
      expect(await store.abandonIntent(abandoned(1n))).toMatchObject({ refusal: 'intent-closed' });
      expect(await store.recordResult(result(1n))).toMatchObject({ refusal: 'intent-closed' });
      expect(await store.recordIntent(intent(1n))).toMatchObject({ refusal: 'serial-exists' });
      expect(await store.certificate(1n)).toMatchObject({
        state: 'abandoned',
        finishedAt: now + 5n,
        certificate: null,
      });
    });

    test('lists intents that were left behind, oldest first, after opening again', async () => {
      await using home = await makeHome();
      {
        await using store = await home.open();
        for (const serial of [1n, 2n, 3n, 4n]) await store.recordIntent(intent(serial, { now: now + serial }));
        await store.recordResult(result(2n));
        await store.abandonIntent({ serial: 3n, now, audit: note('certificate-abandon') });
      }
      await using store = await home.open();
      const unfinished = (before: bigint) => walk((page) => store.unfinishedIntents(before, page), 1);
      expect(serialsOf(await unfinished(now + 100n))).toEqual([1n, 4n]);
      expect(serialsOf(await unfinished(now + 4n))).toEqual([1n]);
      expect((await unfinished(now + 100n))[0]?.signedBytes).toEqual(new Uint8Array(signedBytes(1n)));
    });

    test('counts by type and state', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      for (const serial of [1n, 2n, 3n]) await store.recordIntent(intent(serial, { type: 'user' }));
      await store.recordIntent(intent(4n));
      await store.recordResult(result(1n));
      await store.abandonIntent({ serial: 2n, now, audit: note('certificate-abandon') });
      expect((await store.counts()).certificates).toEqual({
        user: { intended: 1n, issued: 1n, abandoned: 1n },
        host: { intended: 1n, issued: 0n, abandoned: 0n },
      });
    });
  });

  describe('finding certificates', () => {
    /** Serials 1 to 60: every third for a user; keys and names repeat. */
    async function populate(store: Store): Promise<void> {
      for (let n = 1n; n <= 60n; n += 1n) {
        const user = n % 3n === 0n;
        await store.recordIntent(
          intent(n, {
            type: user ? 'user' : 'host',
            keyFingerprint: fingerprint(`key ${n % 5n}`),
            keyId: user ? `user${n % 2n}@example.com` : `web${n % 4n}`,
            principals: user ? ['deploy', `login${n % 2n}`] : [`web${n % 4n}`, `10.0.0.${n % 4n}`],
            validAfter: now + n,
            validBefore: now + n + 10n,
            lineage: n % 10n === 0n ? 'tens' : null,
          }),
        );
        if (n % 2n === 0n) await store.recordResult(result(n));
      }
    }
    const expected = (fits: (n: bigint) => boolean) =>
      Array.from({ length: 60 }, (_, index) => 60n - BigInt(index)).filter(fits);

    const filters: readonly [CertificateFilter, (n: bigint) => boolean][] = [
      [{}, () => true],
      [{ type: 'user' }, (n) => n % 3n === 0n],
      [{ state: 'issued' }, (n) => n % 2n === 0n],
      [{ state: 'intended' }, (n) => n % 2n === 1n],
      [{ state: 'abandoned' }, () => false],
      [{ keyFingerprint: fingerprint('key 2') }, (n) => n % 5n === 2n],
      [{ keyId: 'user1@example.com' }, (n) => n % 3n === 0n && n % 2n === 1n],
      [{ principal: 'web1' }, (n) => n % 3n !== 0n && n % 4n === 1n],
      [{ principal: '10.0.0.3' }, (n) => n % 3n !== 0n && n % 4n === 3n],
      [{ principal: 'user1@example.com' }, () => false],
      [{ keyId: 'deploy' }, () => false],
      [{ lineage: 'tens' }, (n) => n % 10n === 0n],
      [{ validAt: now + 30n }, (n) => n <= 30n && n + 10n > 30n],
      [{ type: 'user', state: 'issued', principal: 'deploy' }, (n) => n % 6n === 0n],
      [{ keyFingerprint: fingerprint('key 0'), principal: 'login0' }, (n) => n % 30n === 0n],
      [{ keyFingerprint: fingerprint('nobody') }, () => false],
    ];

    test('by any filter, newest first, in pages of any length', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await populate(store);
      for (const [filter, fits] of filters) {
        for (const limit of [1, 7, 60, 1000]) {
          expect(await walkCertificates(store, filter, limit), JSON.stringify(filter, String)).toEqual(expected(fits));
        }
      }
    });

    test('without repeating or losing any that were there, while others are added', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await populate(store);
      let added = 100n;
      const found = await walk(async (page) => {
        await store.recordIntent(intent((added += 1n)));
        return store.certificates({}, page);
      }, 7);
      expect(serialsOf(found).filter((serial) => serial <= 60n)).toEqual(expected(() => true));
    });

    test('a page costs a bounded number of rows: it may be short, and then says where to go on', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const serials = Array.from({ length: 2500 }, (_, index) => BigInt(index + 1));
      await Promise.all(
        serials.map((serial) => store.recordIntent(intent(serial, serial === 1n ? { validBefore: now * 2n } : {}))),
      );
      const first = await store.certificates({ validAt: now + 90_000n }, { limit: 10 });
      expect(first.items).toEqual([]);
      expect(first.next).not.toBeNull();
      expect(await walkCertificates(store, { validAt: now + 90_000n }, 10)).toEqual([1n]);
    });

    test('refuses a page that cannot be', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      for (const limit of [0, -1, 1.5, 1001]) {
        await expect(store.certificates({}, { limit })).rejects.toThrow(TypeError);
      }
      for (const cursor of ['', '0', '-1', 'x', '1; DROP TABLE hosts', '99999999999999999999']) {
        await expect(store.certificates({}, { limit: 1, cursor })).rejects.toThrow(TypeError);
      }
    });
  });
}
