/** What a CA that serves makes of the record of CA keys, also when a key cannot be opened. */
import { generateKeyPairSync } from 'node:crypto';
import pino from 'pino';
import { expect, test } from 'vitest';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { formatKeyPlace } from '#ca-lite/rotation/key-place.ts';
import { LiveKeys } from '#ca-lite/rotation/live-keys.ts';
import { FileSigner } from '#ca-lite/signer/file-signer.ts';
import type { CaKeyRecord, CaKeyState } from '#ca-lite/store/ca-key-decisions.ts';

type Type = 'host' | 'user';
const first = { host: { kind: 'yubihsm', key: 1 }, user: { kind: 'yubihsm', key: 2 } } as const;

/** Keys 1 (host), 2 (user), 3 and 4 (host) in a device that can lose them, and a record that tests write. */
function stage() {
  const keys = [1, 2, 3, 4].map((number) => ({
    number,
    signer: new FileSigner(generateKeyPairSync('ed25519').privateKey),
  }));
  const missing = new Set<number>();
  let rows: readonly CaKeyRecord[] = [];
  let number = 1;
  const signerOf = (wanted: number) => keys[wanted - 1]!.signer;
  const fingerprint = (of: number) => fingerprintOf(encodePublicKey(signerOf(of).publicKey));
  const record = (states: Readonly<Record<number, CaKeyState>>, type: Type = 'host') => {
    number += 1;
    rows = Object.entries(states).map(([of, state]) => ({
      type,
      state,
      key: encodePublicKey(signerOf(Number(of)).publicKey),
      fingerprint: fingerprint(Number(of)),
      secret: formatKeyPlace({ kind: 'yubihsm', key: Number(of) }),
      createdAt: 1n,
      changedAt: 1n,
    }));
  };
  const places = new Map<number, number>();
  const exchange = (place: number, by: number) => places.set(place, by);
  const open = async () =>
    LiveKeys.open({
      store: { caKeys: async () => ({ number, keys: rows }) },
      open: async (place) => {
        if (place.kind !== 'yubihsm' || missing.has(place.key)) throw new Error('there is no such key');
        return signerOf(places.get(place.key) ?? place.key);
      },
      first,
      log: pino({ level: 'silent' }),
    });
  return { open, record, missing, exchange, fingerprint, signerOf };
}

const statesOf = (live: LiveKeys) => live.trust.hostCas.map(({ fingerprint, state }) => [fingerprint, state]);

test('each step is taken as a whole, and what is held goes with it', async () => {
  const { open, record, fingerprint, signerOf } = stage();
  const live = await open();
  const { signers, hostCas } = live;
  const key = (of: number) => signerOf(of).publicKey;
  expect(statesOf(live)).toEqual([[fingerprint(1), 'current']]);

  record({ 1: 'current', 3: 'next' });
  await live.refresh();
  expect(live.trust.number).toBe(2);
  expect([signers.host, [...hostCas]]).toEqual([signerOf(1), [fingerprint(1), fingerprint(3)]]);

  record({ 1: 'old', 3: 'current' });
  await live.refresh();
  expect(statesOf(live)).toEqual([
    [fingerprint(3), 'current'],
    [fingerprint(1), 'old'],
  ]);
  expect([signers.host, signers.of(key(1)), signers.of(key(3))]).toEqual([signerOf(3), signerOf(1), signerOf(3)]);
  const statement = await live.statements.sign(new Uint8Array(1), 'test@countersign', 1_700_000_000n);
  expect(statement).toHaveLength(2);

  record({ 1: 'retired', 3: 'current' });
  await live.refresh();
  expect([...hostCas]).toEqual([fingerprint(3)]);
  expect(signers.of(key(1))).toBeUndefined();
  expect(signers.user).toBe(signerOf(2));
});

test('a key that was withdrawn is let go', async () => {
  const { open, record, fingerprint, signerOf } = stage();
  const live = await open();
  record({ 1: 'current', 3: 'next' });
  await live.refresh();
  expect(live.signers.of(signerOf(3).publicKey)).toBe(signerOf(3));
  record({ 1: 'current' });
  await live.refresh();
  expect(live.signers.of(signerOf(3).publicKey)).toBeUndefined();
  expect(statesOf(live)).toEqual([[fingerprint(1), 'current']]);
});

test('while the next key cannot be opened the one before signs, unless it is retired', async () => {
  const { open, record, missing, fingerprint, signerOf } = stage();
  const live = await open();
  missing.add(3);
  record({ 1: 'current', 3: 'next' });
  await live.refresh();
  record({ 1: 'old', 3: 'current' });
  await live.refresh();
  expect(statesOf(live)[0]).toEqual([fingerprint(3), 'current']);
  expect(live.signers.host).toBe(signerOf(1));

  record({ 1: 'retired', 3: 'current' });
  await live.refresh();
  const { host } = live.signers;
  await expect(host.sign(new Uint8Array(1), { priority: 'host' })).rejects.toMatchObject({
    code: 'signer-unavailable',
  });
  missing.delete(3);
  await live.refresh(); // the record is the same: what could not be opened is tried again
  expect(live.signers.host).toBe(signerOf(3));
});

test('a CA does not start without a key that signs, or with another in its place', async () => {
  const { open, record, missing } = stage();
  record({ 1: 'old', 3: 'current', 4: 'next' });
  missing.add(4);
  expect((await open()).trust.hostCas).toHaveLength(3);
  missing.add(3);
  await expect(open()).rejects.toThrow('no such key');
});

test('a key is the one on record, or it is not used', async () => {
  const { open, record, exchange } = stage();
  record({ 1: 'old', 3: 'current' });
  exchange(3, 4);
  await expect(open()).rejects.toMatchObject({ code: 'signer-unavailable' });
});
