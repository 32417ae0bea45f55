/** The contract of CA keys over time (docs/rotation.md): which step is taken when, and whom it waits for. */
import { describe, expect, test } from 'vitest';
import type { CaKey, RotationRequest } from '#ca-lite/store/ca-key-decisions.ts';
import type { Store } from '#ca-lite/store/store.ts';
import type { MakeHome } from './store.ts';
import { fingerprint, intent, note, now, result, signedBytes, token } from './store-requests.ts';

/** 32 bytes in place of a public key blob. */
function caKey(label: string): CaKey {
  return {
    key: Buffer.from(label.padEnd(32, '.')),
    fingerprint: fingerprint(label),
    secret: `ssh_host_ca_${label.length}`,
  };
}

const [first, next, third] = [caKey('first'), caKey('the next'), caKey('a third one')];

function step(step: RotationRequest['step'], force = false): RotationRequest {
  return { type: 'host', step, force, now, audit: note(`rotate-${step.do}`) };
}

const publish = (key: CaKey, current = first) => step({ do: 'publish', current, next: key });

async function statesOf(store: Store): Promise<readonly (readonly [string, string])[]> {
  return (await store.caKeys()).keys.map(({ fingerprint: name, state }) => [name, state] as const);
}

/** A host certificate whose bytes end with the CA key, as those of certificates do. */
async function certify(store: Store, serial: bigint, lineage: string, by: CaKey): Promise<void> {
  const bytes = Buffer.concat([signedBytes(serial), by.key]);
  await store.recordIntent(intent(serial, { signedBytes: bytes, lineage }));
  await store.recordResult(result(serial, { certificate: Buffer.concat([bytes, Buffer.from('signature')]) }));
}

async function report(store: Store, serial: bigint, trusted: readonly CaKey[]): Promise<void> {
  const trustedHostCas = trusted.map((key) => key.fingerprint);
  const presented = { serial, signedAt: now, requester: '192.0.2.7', now, graceSeconds: 300n };
  const said = { agentVersion: '1.0.0', trustedHostCas, trustedUserCas: [], krlNumber: 0n };
  const spent = token(`report of ${serial} on ${trusted.length}`);
  const decision = await store.recordReport({ token: spent, presented, report: said, audit: note('status-report') });
  expect(decision).toMatchObject({ accepted: true });
}

export function rotationContract(makeHome: MakeHome): void {
  describe('CA keys', () => {
    test('walk from next to current to old to retired, one of a kind at a time', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      expect(await store.caKeys()).toEqual({ number: 1, keys: [] });
      for (const what of ['switch', 'withdraw'] as const)
        expect(await store.rotate(step({ do: what }))).toMatchObject({ refusal: 'no-next-key' });
      expect(await store.rotate(step({ do: 'retire' }))).toMatchObject({ refusal: 'nothing-to-retire' });
      expect(await store.rotate(publish(next))).toMatchObject({ accepted: true });
      expect(await store.rotate(publish(third))).toMatchObject({ accepted: false, refusal: 'rotation-underway' });
      expect(await statesOf(store)).toEqual([
        [first.fingerprint, 'current'],
        [next.fingerprint, 'next'],
      ]);
      expect(await store.rotate(step({ do: 'switch' }))).toMatchObject({ accepted: true });
      expect(await store.rotate(step({ do: 'retire' }))).toMatchObject({ accepted: true });
      expect(await statesOf(store)).toEqual([
        [first.fingerprint, 'retired'],
        [next.fingerprint, 'current'],
      ]);
      expect((await store.caKeys()).number).toBe(4);
    });

    test('are taken once: no key comes back', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      expect(await store.rotate(publish(first))).toMatchObject({ refusal: 'key-known' });
      await store.rotate(publish(next));
      await store.rotate(step({ do: 'switch' }));
      await store.rotate(step({ do: 'retire' }));
      for (const known of [first, next])
        expect(await store.rotate(publish(known, next))).toMatchObject({ refusal: 'key-known' });
      await store.rotate(publish(third, next));
      expect(await store.rotate(step({ do: 'withdraw' }))).toMatchObject({ accepted: true });
      expect(await statesOf(store)).toHaveLength(2);
      expect(await store.rotate(publish(third, next))).toMatchObject({ accepted: true });
    });

    test('are signed with once every live host trusts them, and retired once nothing in use is theirs', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await certify(store, 1n, 'one', first);
      await certify(store, 2n, 'two', first);
      await store.rotate(publish(next));
      await report(store, 1n, [first]);
      const waiting = async () => [...(await store.hostsWithout('host', next.fingerprint, now, 10))].toSorted();
      expect(await waiting()).toEqual(['web1.example.com', 'web2.example.com']);
      expect(await store.rotate(step({ do: 'switch' }))).toMatchObject({ refusal: 'hosts-not-ready', waiting: 2 });
      await report(store, 1n, [first, next]);
      await report(store, 2n, [first, next]);
      expect(await waiting()).toEqual([]);
      expect(await store.hostsWithout('host', next.fingerprint, now + 86_400n, 10)).toEqual([]); // expired: not live
      expect(await store.rotate(step({ do: 'switch' }))).toMatchObject({ accepted: true });
      expect(await store.certificatesBy('host', first.key, now)).toBe(2);
      expect(await store.rotate(step({ do: 'retire' }))).toMatchObject({ refusal: 'certificates-in-use', waiting: 2 });
      expect(await store.certificatesBy('host', first.key, now + 86_400n)).toBe(0);
      expect(await store.rotate(step({ do: 'retire' }, true))).toMatchObject({ accepted: true });
    });
  });
}
