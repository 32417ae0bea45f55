/** The KRL that is built on from what was read before is the one that is built from nothing. */
import { generateKeyPairSync } from 'node:crypto';
import { array, assert, asyncProperty, bigInt, constantFrom, oneof, record } from 'fast-check';
import { expect, test } from 'vitest';
import { decodeKrl } from '#openssh/krl.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { KrlBuilder, type KrlSource } from '#ca-lite/revocation/krl-builder.ts';

const cas = new Map(
  [1n, 2n].map((row) => [row, encodePublicKey(publicKeyFromObject(generateKeyPairSync('ed25519').publicKey))] as const),
);
const FINGERPRINT = `SHA256:${'A'.repeat(43)}`;

interface Revoked {
  readonly serial: bigint;
  readonly ca: bigint;
}

/** Pages of two revocations; `grow` is called while the first page is read. */
class MemorySource implements KrlSource {
  readonly rows: Revoked[] = [];
  readonly keys: string[] = [];
  number = 0n;
  grow: () => void = () => undefined;

  async krlState() {
    return { number: this.number, changedAt: 1_700_000_000n };
  }

  async revokedSerials(after: bigint) {
    this.grow();
    const page = this.rows.slice(Number(after), Number(after) + 2);
    if (page.length === 0) return null;
    const byCa = new Map<bigint, BigUint64Array>();
    for (const { ca } of page)
      byCa.set(
        ca,
        BigUint64Array.from(
          page.filter((one) => one.ca === ca),
          ({ serial }) => serial,
        ),
      );
    return { upTo: after + BigInt(page.length), byCa };
  }

  async revokedKeys(after: bigint) {
    return this.keys
      .slice(Number(after))
      .map((keyFingerprint, index) => ({ row: after + BigInt(index) + 1n, keyFingerprint }));
  }

  async krlCas() {
    return cas;
  }
}

const serial = oneof(
  bigInt({ min: 1n, max: 40n }),
  bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  bigInt({ min: 2n ** 40n, max: 2n ** 40n + 100_000n }),
);
const revocation = record({ serial, ca: constantFrom(1n, 2n) });

test('whatever is revoked, and whenever it is asked for', async () => {
  await assert(
    asyncProperty(array(array(revocation, { maxLength: 12 }), { minLength: 1, maxLength: 5 }), async (steps) => {
      const source = new MemorySource();
      const builder = new KrlBuilder(source);
      for (const step of steps) {
        source.rows.push(...step);
        source.number += 1n;
        const krl = await builder.build();
        const { certificates } = decodeKrl(krl.bytes);
        for (const { serial, ca } of source.rows) {
          const section = certificates.find(({ ca: blob }) =>
            Buffer.from(blob ?? []).equals(cas.get(ca) ?? Buffer.of()),
          );
          expect(section?.serials.has(serial)).toBe(true);
        }
      }
      const last = await builder.build();
      const anew = await new KrlBuilder(source).build();
      expect(Buffer.from(last.bytes).equals(anew.bytes)).toBe(true);
      expect([last.etag, last.serials]).toEqual([anew.etag, source.rows.length]);
    }),
  );
});

test('what is revoked while it is read is in it, under the number that it belongs to', async () => {
  const source = new MemorySource();
  source.rows.push({ serial: 5n, ca: 1n });
  source.number = 1n;
  source.grow = () => {
    source.grow = () => undefined;
    source.rows.push({ serial: 9n, ca: 1n });
    source.keys.push(FINGERPRINT);
    source.number = 2n;
  };
  const krl = await new KrlBuilder(source).build();
  expect(krl).toMatchObject({ number: 2n, serials: 2, keys: 1 });
  expect(decodeKrl(krl.bytes)).toMatchObject({
    number: 2n,
    sha256Fingerprints: [new Uint8Array(32)],
  });
});
