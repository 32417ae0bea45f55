/** The contract of nonces and tokens: once, whatever happens at the same time, and for ever. */
import { describe, expect, test } from 'vitest';
import type { PruneRequest } from '#ca-lite/store/decisions.ts';
import type { Store } from '#ca-lite/store/store.ts';
import type { MakeHome } from './store.ts';
import { binding, hostToken, intent, note, now, token } from './store-requests.ts';

const consume = (store: Store, id: string, recorded = false, expiresAt = now + 300n) =>
  store.consumeToken({ token: token(id, recorded, expiresAt), audit: note('token-use') });

export function singleUseContract(makeHome: MakeHome): void {
  describe('single use', () => {
    test('of 100 at once that consume one token, one succeeds', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const outcomes = await Promise.all(Array.from({ length: 100 }, () => consume(store, 'one')));
      expect(outcomes.filter(({ accepted }) => accepted)).toHaveLength(1);
      for (const outcome of outcomes) if (!outcome.accepted) expect(outcome.refusal).toBe('token-used');
      const refused = await store.audit({ outcome: 'refused' }, { limit: 1000 });
      expect(refused.items.map(({ code }) => code)).toEqual(Array(99).fill('token-used'));
    });

    test('of 100 at once over two connections that intend with one token, one succeeds', async () => {
      await using home = await makeHome();
      await using one = await home.open();
      await using other = await home.open({ beside: true });
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          (index % 2 === 0 ? one : other).recordIntent(intent(BigInt(index + 1), { token: token('one') })),
        ),
      );
      expect(outcomes.filter(({ accepted }) => accepted)).toHaveLength(1);
      expect((await one.counts()).certificates.host.intended).toBe(1n);
    });

    test('of 100 at once that present one nonce, one gets a token', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const { nonce } = hostToken('shared', binding('a'));
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          store.recordHostToken({ ...hostToken(String(index), binding(`host${index}`)), nonce }),
        ),
      );
      expect(outcomes.filter(({ accepted }) => accepted)).toHaveLength(1);
      expect(outcomes.filter((outcome) => !outcome.accepted && outcome.refusal === 'nonce-used')).toHaveLength(99);
    });

    test('a token that should be on record is refused when it is not, and passes once when it is', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      expect(await consume(store, 'made', true)).toMatchObject({ refusal: 'token-unknown' });
      const made = { token: token('made'), audit: note('token-make') };
      expect(await store.recordToken(made)).toMatchObject({ accepted: true });
      expect(await store.recordToken(made)).toMatchObject({ refusal: 'token-exists' });
      expect(await consume(store, 'made', true)).toMatchObject({ accepted: true });
      expect(await consume(store, 'made', true)).toMatchObject({ refusal: 'token-used' });
      expect(await consume(store, 'made', false)).toMatchObject({ refusal: 'token-used' });
      expect(await store.recordToken(made)).toMatchObject({ refusal: 'token-exists' });
    });

    test('a nonce and a token may have one name', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const request = { ...hostToken('same', binding('a')), nonce: token('same'), token: token('same') };
      expect(await store.recordHostToken(request)).toMatchObject({ accepted: true });
      expect(await consume(store, 'same', true)).toMatchObject({ accepted: true });
    });

    test('a refusal consumes nothing', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await store.recordIntent(intent(1n));
      const withToken = { token: token('kept') };
      expect(await store.recordIntent(intent(1n, withToken))).toMatchObject({ refusal: 'serial-exists' });
      expect(await store.recordIntent(intent(2n, withToken))).toMatchObject({ accepted: true });
      expect(await store.recordIntent(intent(3n, withToken))).toMatchObject({ refusal: 'token-used' });
    });
  });

  describe('prune', () => {
    const request = (changes: Partial<PruneRequest> = {}) => ({ now, leewaySeconds: 60n, limit: 1000, ...changes });

    test('removes what expired before the leeway, in bounded steps, and counts what is left', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const expiries = Array.from({ length: 25 }, (_, index) => now - 61n - BigInt(index % 5));
      await Promise.all(expiries.map((expiresAt, index) => consume(store, `old ${index}`, false, expiresAt)));
      await consume(store, 'in leeway', false, now - 60n);
      expect((await store.counts()).singleUse).toBe(26n);
      expect(await store.prune(request({ limit: 10 }))).toEqual({ removed: 10n, more: true });
      expect(await store.prune(request({ limit: 10 }))).toEqual({ removed: 10n, more: true });
      expect(await store.prune(request({ limit: 10 }))).toEqual({ removed: 5n, more: false });
      expect((await store.counts()).singleUse).toBe(1n);
      expect(await consume(store, 'in leeway', false, now - 60n)).toMatchObject({ refusal: 'token-used' });
    });

    test('what was removed stays refused, also when the clock is set back', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const expiresAt = now - 100n;
      await consume(store, 'old', false, expiresAt);
      await store.prune(request());
      expect(await consume(store, 'old', false, expiresAt)).toMatchObject({ refusal: 'token-expired' });
      await store.prune(request({ now: now - 10_000n }));
      expect(await consume(store, 'old', false, expiresAt)).toMatchObject({ refusal: 'token-expired' });
      const late = { nonce: token('n', false, expiresAt), audit: note('host-token') };
      expect(await store.recordHostToken({ ...hostToken('late', binding('a')), ...late })).toMatchObject({
        refusal: 'nonce-expired',
      });
      expect(await store.recordToken({ token: token('t', false, expiresAt), audit: note('token-make') })).toMatchObject(
        {
          refusal: 'token-expired',
        },
      );
    });
  });
}
