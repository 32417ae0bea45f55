/** KRLs between us and `ssh-keygen -k` and `-Q`: the same bytes as long as OpenSSH could read them, and the same answers. */
import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatCertificateLine } from '#openssh/certificate-line.ts';
import type { Certificate, CertificateFields } from '#openssh/certificate.ts';
import { encodeBase64Unpadded } from '#openssh/base64.ts';
import { isRevoked } from '#openssh/krl-check.ts';
import { type Krl, type KrlContents, createKrl, decodeKrl, encodeKrl } from '#openssh/krl.ts';
import { type PublicKey, encodePublicKey, formatPublicKeyLine, parsePublicKeyLine } from '#openssh/public-key.ts';
import { parseSoftwareKey } from '#openssh/private-key.ts';
import { type SerialRange, SerialSet } from '#openssh/serial-set.ts';
import { type SampleKey, sampleCertificate, sampleKeys, sampleTypes } from '#test/unit/openssh/samples.ts';
import { Workshop } from './openssh-workshop.ts';

let workshop: Workshop;
let ca: SampleKey;
let otherCa: SampleKey;

beforeAll(async () => {
  workshop = await Workshop.open();
  await workshop.newKey('ca', 'ed25519');
  await workshop.newKey('other', 'ecdsa', 384);
  ca = parseSoftwareKey(await workshop.read('ca'));
  otherCa = parseSoftwareKey(await workshop.read('other'));
});
afterAll(async () => {
  await workshop[Symbol.asyncDispose]();
});

/** The KRL that ssh-keygen makes of a specification, for certificates of `ca` unless `forAnyCa`. */
async function keygenKrl(spec: readonly string[], forAnyCa = false): Promise<Uint8Array> {
  await workshop.write('spec', `${spec.join('\n')}\n`);
  await workshop.keygen('-q', '-k', '-f', 'krl', '-z', '99', '-s', forAnyCa ? 'none' : 'ca.pub', 'spec');
  return workshop.read('krl');
}

function hex(blob: Uint8Array): string {
  return Buffer.from(blob).toString('hex');
}

/** Our KRL with the head of theirs. */
function ours(theirs: Uint8Array, contents: Partial<KrlContents>): Krl {
  const { number, generatedDate, comment } = decodeKrl(theirs);
  return createKrl({ number, generatedDate, comment, ...contents });
}

const caBlob = (): Uint8Array => encodePublicKey(ca.publicKey);

/** A small generator of numbers that is the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomRanges(seed: number): SerialRange[] {
  const next = numbers(seed);
  const [spread, longest] = [[3, 40, 300, 100_000][next(4)] ?? 3, [1, 3, 20, 200][next(4)] ?? 1];
  let at = BigInt(1 + next(1000)) << BigInt([0, 0, 20, 53][next(4)] ?? 0);
  return Array.from({ length: 1 + next(40) }, () => {
    const first = at + BigInt(1 + next(spread));
    const last = first + BigInt(next(longest));
    at = last + 1n;
    return { first, last };
  });
}

function specOf(ranges: readonly SerialRange[]): string[] {
  return ranges.map(({ first, last }) => (first === last ? `serial: ${first}` : `serial: ${first}-${last}`));
}

describe('the same bytes as ssh-keygen', () => {
  test('for nothing at all', async () => {
    const theirs = await keygenKrl(['# nothing']);
    expect(decodeKrl(theirs)).toMatchObject({ number: 99n, certificates: [], keys: [] });
    expect(hex(encodeKrl(ours(theirs, {})))).toBe(hex(theirs));
  });

  test.each(Array.from({ length: 60 }, (_, seed) => seed))('for serials, case %i', async (seed) => {
    const ranges = randomRanges(seed);
    const theirs = await keygenKrl(specOf(ranges));
    expect(hex(encodeKrl(ours(theirs, { certificates: [{ ca: caBlob(), serials: SerialSet.of(ranges) }] })))).toBe(
      hex(theirs),
    );
    expect(hex(encodeKrl(decodeKrl(theirs)))).toBe(hex(theirs));
  });

  test('for one serial at each end of the numbers', async () => {
    const serials = [1n, 2n ** 63n, 2n ** 64n - 1n];
    const theirs = await keygenKrl(serials.map((serial) => `serial: ${serial}`));
    expect(hex(encodeKrl(ours(theirs, { certificates: [{ ca: caBlob(), serials: SerialSet.of(serials) }] })))).toBe(
      hex(theirs),
    );
  });

  test('for key IDs, keys and fingerprints, however they are ordered', async () => {
    const blobs = sampleTypes.map((type) => encodePublicKey(sampleKeys[type].publicKey));
    const lines = sampleTypes.map((type) => formatPublicKeyLine(sampleKeys[type].publicKey));
    const sha256 = blobs.map((blob) => hash('sha256', blob, 'buffer'));
    const theirs = await keygenKrl(
      [
        ...['zoe', 'älice', 'bob', 'Bob', 'bob'].map((id) => `id: ${id}`),
        ...lines.map((line) => `key: ${line}`),
        ...lines.map((line) => `sha1: ${line}`),
        ...sha256.map((digest) => `hash: SHA256:${encodeBase64Unpadded(digest)}`),
      ],
      true,
    );
    const krl = ours(theirs, {
      certificates: [{ keyIds: ['zoe', 'älice', 'bob', 'Bob'] }],
      keys: blobs,
      sha1Fingerprints: blobs.map((blob) => hash('sha1', blob, 'buffer')),
      sha256Fingerprints: sha256,
    });
    expect(hex(encodeKrl(krl))).toBe(hex(theirs));
  });
});

/** True if `ssh-keygen -Q` says that it is revoked. */
async function keygenRevokes(krl: Krl, subject: PublicKey | Certificate): Promise<boolean> {
  await workshop.write('ours.krl', encodeKrl(krl));
  const line = 'signatureKey' in subject ? formatCertificateLine(subject) : formatPublicKeyLine(subject);
  await workshop.write('asked.pub', `${line}\n`);
  const { exitCode, stdout, stderr } = await workshop.try('ssh-keygen', ['-Q', '-f', 'ours.krl', 'asked.pub']);
  if (stdout.endsWith('REVOKED\n') && exitCode === 1) return true;
  if (stdout.endsWith('ok\n') && exitCode === 0) return false;
  throw new Error(`ssh-keygen -Q: ${stdout}${stderr}`);
}

const certificateOf = (changes: Partial<CertificateFields>, signer: SampleKey): Certificate =>
  sampleCertificate({ criticalOptions: [], ...changes }, signer);

describe('the same answers as ssh-keygen -Q', () => {
  test.each<[string, () => Partial<KrlContents>]>([
    ['nothing', () => ({})],
    [
      'serials of the CA',
      () => ({ certificates: [{ ca: caBlob(), serials: SerialSet.of([5n, 42n, { first: 90n, last: 99n }]) }] }),
    ],
    ['serials of any CA', () => ({ certificates: [{ serials: SerialSet.of([42n]) }] })],
    [
      'serials of another CA',
      () => ({ certificates: [{ ca: encodePublicKey(otherCa.publicKey), serials: SerialSet.of([42n]) }] }),
    ],
    ['a key ID of the CA', () => ({ certificates: [{ ca: caBlob(), keyIds: ['mallory'] }] })],
    ['a key ID of any CA', () => ({ certificates: [{ keyIds: ['mallory'] }] })],
    ['the key', () => ({ keys: [encodePublicKey(sampleKeys['ssh-ed25519'].publicKey)] })],
    [
      'the SHA-1',
      () => ({ sha1Fingerprints: [hash('sha1', encodePublicKey(sampleKeys['ssh-ed25519'].publicKey), 'buffer')] }),
    ],
    [
      'the SHA-256',
      () => ({ sha256Fingerprints: [hash('sha256', encodePublicKey(sampleKeys['ssh-ed25519'].publicKey), 'buffer')] }),
    ],
    ['the CA', () => ({ keys: [caBlob()] })],
    ['the CA by SHA-256', () => ({ sha256Fingerprints: [hash('sha256', caBlob(), 'buffer')] })],
  ])('for a KRL of %s', async (_, contents) => {
    const krl = createKrl({ number: 1n, generatedDate: 1n, ...contents() });
    const subjects = [
      sampleKeys['ssh-ed25519'].publicKey,
      sampleKeys['ssh-rsa'].publicKey,
      ...[ca, otherCa].flatMap((signer) => [
        certificateOf({ serial: 42n }, signer),
        certificateOf({ serial: 43n, key: sampleKeys['ssh-rsa'].publicKey }, signer),
        certificateOf({ serial: 95n, key: sampleKeys['ssh-rsa'].publicKey, keyId: 'mallory' }, signer),
      ]),
    ];
    for (const [index, subject] of subjects.entries()) {
      expect([index, isRevoked(krl, subject)]).toEqual([index, await keygenRevokes(krl, subject)]);
    }
  });
});

describe('long bitmaps', () => {
  const odd = Array.from({ length: 50_000 }, (_, index) => BigInt(2 * index + 1));

  test('ssh-keygen writes one that it cannot read', async () => {
    await keygenKrl(odd.map((serial) => `serial: ${serial}`));
    const { exitCode, stderr } = await workshop.try('ssh-keygen', ['-Q', '-l', '-f', 'krl']);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('bignum is too large');
  });

  test('ours is read, and has every serial', async () => {
    const krl = createKrl({
      number: 1n,
      generatedDate: 1n,
      certificates: [{ ca: caBlob(), serials: SerialSet.of(odd) }],
    });
    await workshop.write('ours.krl', encodeKrl(krl));
    const listed = await workshop.keygen('-Q', '-l', '-f', 'ours.krl');
    expect([...listed.matchAll(/^serial: (\d+)$/gm)].map(([, serial]) => BigInt(serial ?? ''))).toEqual(odd);
  });

  test('whatever is in it: every range that ssh-keygen lists is one of ours', async () => {
    for (let seed = 100; seed < 120; seed++) {
      const next = numbers(seed);
      const serials = SerialSet.of(Array.from({ length: 4000 }, () => BigInt(1 + next(60_000))));
      const krl = createKrl({ number: 1n, generatedDate: 1n, certificates: [{ serials }] });
      await workshop.write('ours.krl', encodeKrl(krl));
      const listed = [
        ...(await workshop.keygen('-Q', '-l', '-f', 'ours.krl')).matchAll(/^serial: (\d+)(?:-(\d+))?$/gm),
      ];
      const ranges = listed.map(([, first = '', last = first]) => ({ first: BigInt(first), last: BigInt(last) }));
      expect(ranges).toEqual([...serials]);
    }
  });
});

test('a key that ssh-keygen made is the key that we revoke', async () => {
  const { key, blob } = parsePublicKeyLine(await workshop.readText('other.pub'));
  const krl = createKrl({ number: 1n, generatedDate: 1n, keys: [blob] });
  expect(await keygenRevokes(krl, key)).toBe(true);
});
