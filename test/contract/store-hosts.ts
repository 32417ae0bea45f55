/** The contract of host enrolments: trust on first use, and what lets go of it. */
import { describe, expect, test } from 'vitest';
import type { HostBinding } from '#ca-lite/store/decisions.ts';
import type { Store } from '#ca-lite/store/store.ts';
import { walk } from './store-issuance.ts';
import type { MakeHome } from './store.ts';
import { binding, enrolment, fingerprint, hostToken, intent, note, now, result, token } from './store-requests.ts';

async function enrol(store: Store, serial: bigint, host: HostBinding): Promise<void> {
  expect(await store.recordIntent(enrolment(serial, host))).toMatchObject({ accepted: true });
  expect(await store.recordResult(result(serial))).toMatchObject({ accepted: true });
}
const abandon = (store: Store, serial: bigint) =>
  store.abandonIntent({ serial, now, audit: note('certificate-abandon', { serial }) });
const clear = (store: Store, name: string) =>
  store.clearHost({ name, now: now + 9n, audit: note('host-clear', { name, actor: 'admin' }) });

export function hostContract(makeHome: MakeHome): void {
  describe('host enrolment', () => {
    test('goes from nonce to token to certificate, each step once', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const host = binding('web1');
      const request = hostToken('a', host);
      expect(await store.recordHostToken(request)).toMatchObject({ accepted: true });
      expect(await store.recordHostToken(request)).toMatchObject({ refusal: 'nonce-used' });
      const redeem = enrolment(1n, host, { token: token('token a', true) });
      expect(await store.recordIntent(redeem)).toMatchObject({ accepted: true });
      expect(await store.recordIntent({ ...redeem, serial: 2n })).toMatchObject({ refusal: 'token-used' });
      await store.recordResult(result(1n));
      expect((await store.hosts({}, { limit: 10 })).items).toEqual([
        {
          enrolment: 'web1/web1',
          names: ['web1'],
          addresses: ['10.0.0.4'],
          keyFingerprint: fingerprint('web1'),
          state: 'enrolled',
          vouchedBy: null,
          firstSeen: now,
          lastSeen: now + 1n,
          clearedAt: null,
          serial: 1n,
        },
      ]);
    });

    test('a second first enrolment of one address and key is refused at both steps, and names what is there', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await enrol(store, 1n, binding('web1', 'key', '10.0.0.1'));
      const again = { ...binding('web2', 'key', '10.0.0.1'), addresses: ['10.0.0.9', '10.0.0.1'] };
      const refused = {
        refusal: 'host-already-enrolled',
        holder: { enrolment: 'web1/key', keyFingerprint: fingerprint('key'), state: 'enrolled', serial: 1n },
      };
      expect(await store.recordHostToken(hostToken('b', again))).toMatchObject(refused);
      expect(await store.recordIntent(enrolment(2n, again))).toMatchObject(refused);
      expect(await store.certificate(2n)).toBeNull();
      const elsewhere = binding('web1', 'key', '10.0.0.2');
      expect(await store.recordIntent(enrolment(3n, elsewhere))).toMatchObject({ accepted: true });
    });

    test('a name is not given to another key, unless a key that holds it vouches', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await enrol(store, 1n, binding('web1', 'ed25519'));
      const thief = { ...binding('web1', 'thief', '10.9.9.9'), names: ['other', 'web1'] };
      const refused = { refusal: 'name-held-by-another-key', holder: { keyFingerprint: fingerprint('ed25519') } };
      expect(await store.recordHostToken(hostToken('thief', thief))).toMatchObject(refused);
      expect(await store.recordIntent(enrolment(2n, thief))).toMatchObject(refused);
      const liar = { ...thief, vouchedBy: fingerprint('unknown') };
      expect(await store.recordIntent(enrolment(3n, liar))).toMatchObject(refused);
      await enrol(store, 4n, { ...binding('web1', 'rsa'), vouchedBy: fingerprint('ed25519') });
      await enrol(store, 5n, { ...binding('web1', 'ecdsa'), vouchedBy: fingerprint('rsa') });
      expect((await store.counts()).hosts.enrolled).toBe(3n);
    });

    test('an abandoned token binds nothing', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const host = binding('web1');
      expect(await store.recordHostToken(hostToken('never redeemed', host))).toMatchObject({ accepted: true });
      expect(await store.recordHostToken(hostToken('redeemed', host))).toMatchObject({ accepted: true });
      await enrol(store, 1n, host);
    });

    test('an abandoned intent lets go of what it bound, an open one does not', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const host = { ...binding('web1'), names: ['web1', 'www'], addresses: ['10.0.0.1', '10.0.0.2'] };
      await store.recordIntent(enrolment(1n, host));
      const second = await store.recordIntent(enrolment(2n, host));
      expect(second).toMatchObject({ refusal: 'host-already-enrolled', holder: { state: 'pending', serial: null } });
      expect((await store.counts()).hosts).toEqual({ pending: 1n, enrolled: 0n, cleared: 0n });
      await abandon(store, 1n);
      expect((await store.counts()).hosts).toEqual({ pending: 0n, enrolled: 0n, cleared: 0n });
      expect((await store.hosts({ name: 'www' }, { limit: 5 })).items).toEqual([]);
      await enrol(store, 3n, host);
      expect(await store.recordIntent(enrolment(4n, binding('www', 'other')))).toMatchObject({ accepted: false });
    });

    test('of 50 at once for one host, one binds', async () => {
      await using home = await makeHome();
      await using one = await home.open();
      await using other = await home.open({ beside: true });
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          (index % 2 === 0 ? one : other).recordIntent(enrolment(BigInt(index + 1), binding('web1'))),
        ),
      );
      expect(outcomes.filter(({ accepted }) => accepted)).toHaveLength(1);
    });

    test('clearing a name lets its next first enrolment pass, and is remembered', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      expect(await clear(store, 'web1')).toMatchObject({ refusal: 'host-unknown' });
      await enrol(store, 1n, { ...binding('web1', 'old'), names: ['web1', 'www'] });
      await enrol(store, 2n, binding('web2'));
      expect(await clear(store, 'www')).toMatchObject({ accepted: true });
      expect(await clear(store, 'www')).toMatchObject({ refusal: 'host-unknown' });
      await enrol(store, 3n, binding('web1', 'new'));
      await enrol(store, 4n, binding('www', 'old'));
      expect((await store.counts()).hosts).toEqual({ pending: 0n, enrolled: 3n, cleared: 1n });
      const { items } = await store.hosts({ name: 'web1' }, { limit: 5 });
      expect(items.map(({ state, clearedAt, serial }) => ({ state, clearedAt, serial }))).toEqual([
        { state: 'enrolled', clearedAt: null, serial: 3n },
        { state: 'cleared', clearedAt: now + 9n, serial: 1n },
      ]);
    });

    test('a host cleared while its first certificate is being signed stays cleared', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await store.recordIntent(enrolment(1n, binding('web1')));
      await clear(store, 'web1');
      expect(await store.recordResult(result(1n))).toMatchObject({ accepted: true });
      expect((await store.hosts({}, { limit: 5 })).items).toMatchObject([{ state: 'cleared', serial: 1n }]);
      await enrol(store, 2n, binding('web1'));
      expect((await store.counts()).hosts).toEqual({ pending: 0n, enrolled: 1n, cleared: 1n });
    });

    test('a later certificate for its key shows the host as seen', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await enrol(store, 1n, binding('web1'));
      await store.recordIntent(intent(2n, { keyFingerprint: fingerprint('web1'), now: now + 50n }));
      await store.recordResult(result(2n, { now: now + 51n }));
      await store.recordIntent(intent(3n, { keyFingerprint: fingerprint('web1'), type: 'user' }));
      await store.recordResult(result(3n, { now: now + 99n }));
      expect((await store.hosts({}, { limit: 5 })).items).toMatchObject([
        { serial: 2n, firstSeen: now, lastSeen: now + 51n },
      ]);
    });

    test('are found by name, key and state, newest first, in pages', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      for (let n = 1n; n <= 20n; n += 1n) await enrol(store, n, { ...binding(`web${n}`), addresses: [`10.1.0.${n}`] });
      for (const name of ['web3', 'web17']) await clear(store, name);
      const names = async (filter: Parameters<Store['hosts']>[0]) =>
        (await walk((page) => store.hosts(filter, page), 3)).map((host) => host.names[0]);
      expect(await names({})).toEqual(Array.from({ length: 20 }, (_, index) => `web${20 - index}`));
      expect(await names({ state: 'cleared' })).toEqual(['web17', 'web3']);
      expect(await names({ state: 'enrolled' })).toHaveLength(18);
      expect(await names({ name: 'web5' })).toEqual(['web5']);
      expect(await names({ keyFingerprint: fingerprint('web6') })).toEqual(['web6']);
      expect(await names({ keyFingerprint: fingerprint('web3'), state: 'enrolled' })).toEqual([]);
    });
  });
}
