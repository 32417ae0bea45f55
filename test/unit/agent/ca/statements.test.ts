/** Every way in which somebody could have a host believe what its CA did not say: each is refused, and the CA itself is believed. */
import { describe, expect, test } from 'vitest';
import { judgeKrl } from '#agent/ca/krl-verdict.ts';
import { type TrustVerdict, judgeTrust } from '#agent/ca/trust-verdict.ts';
import { type Authority, fingerprintsOf } from '#agent/state/authority.ts';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { flagOption, textOption } from '#openssh/certificate.ts';
import { createKrl, encodeKrl } from '#openssh/krl.ts';
import { publicKeyFromObject } from '#openssh/public-key.ts';
import { SerialSet } from '#openssh/serial-set.ts';
import {
  type StatementFaults,
  type TrustSample,
  krlSignatures,
  listedKey,
  newCaKey,
  trustDocument,
  trustReply,
} from '#test/support/statement-signer.ts';

const now = 1_800_000_000n;
const [hostCa, nextHostCa, userCa, nextUserCa, stranger] = [newCaKey(), newCaKey(), newCaKey(), newCaKey(), newCaKey()];
const publicOf = (key: typeof hostCa) => publicKeyFromObject(key);

const held: Authority = {
  url: 'https://ca.example.internal:8443',
  rootFingerprint: '00'.repeat(32),
  rootCertificate: '',
  hostCaKeys: [publicOf(hostCa)],
  userCaKeys: [publicOf(userCa)],
  pinnedAt: '2027-01-01T00:00:00Z',
  trustNumber: 5,
};

const same: TrustSample = { number: 5, hostCas: [listedKey(hostCa)], userCas: [listedKey(userCa)], krlNumber: 3n };
const rotated: TrustSample = {
  number: 6,
  hostCas: [listedKey(hostCa), listedKey(nextHostCa, 'next')],
  userCas: [listedKey(nextUserCa), listedKey(userCa, 'old')],
};

function judge(sample: Partial<TrustSample>, faults?: StatementFaults, signers = [hostCa], at = now): TrustVerdict {
  return judgeTrust(trustReply(signers, trustDocument({ ...same, ...sample }, now), now, faults), held, at);
}

describe('a trust document of the CA', () => {
  test('is taken over: next, current and old keys', () => {
    const { trust } = judge(rotated) as Extract<TrustVerdict, { trust: unknown }>;
    expect(trust.number).toBe(6);
    expect(fingerprintsOf(trust.hostCaKeys)).toEqual(fingerprintsOf([publicOf(hostCa), publicOf(nextHostCa)]));
    expect(fingerprintsOf(trust.userCaKeys)).toEqual(fingerprintsOf([publicOf(nextUserCa), publicOf(userCa)]));
  });

  test('is taken again under the same number, with the number of the KRL of now', () => {
    expect(judge({})).toMatchObject({ trust: { number: 5, krl: { number: 3n, path: '/ssh/krl' } } });
  });

  test('needs one signature by a key that is trusted already, beside others that mean nothing here', () => {
    expect(judge(rotated, undefined, [nextHostCa, hostCa]).fault).toBeUndefined();
    const reply = trustReply([nextHostCa, hostCa], trustDocument(rotated, now), now);
    const signatures = [encodeBase64(Buffer.from('no SSHSIG')), ...reply.signatures];
    expect(judgeTrust({ ...reply, signatures }, held, now).fault).toBeUndefined();
  });

  test('is the first one after the first contact, whatever its number', () => {
    const { trustNumber: _, ...first } = held;
    const reply = trustReply([hostCa], trustDocument({ ...rotated, number: 1 }, now), now);
    expect(judgeTrust(reply, first, now).fault).toBeUndefined();
  });
});

const strangers: readonly (readonly [string, StatementFaults])[] = [
  ['a host certificate', { certificate: { type: 'host' } }],
  ['another principal', { certificate: { principals: ['root'] } }],
  ['one more principal', { certificate: { principals: ['statement@countersign', 'root'] } }],
  ['no forced command', { certificate: { criticalOptions: [] } }],
  ['another forced command', { certificate: { criticalOptions: [textOption('force-command', '/bin/sh')] } }],
  [
    'one more critical option',
    {
      certificate: {
        criticalOptions: [textOption('force-command', '/bin/false'), textOption('source-address', '192.0.2.0/24')],
      },
    },
  ],
  ['an extension', { certificate: { extensions: [flagOption('permit-pty')] } }],
  ['no certificate', { bare: true }],
  ['a certificate that names the CA and is signed by another', { certificate: { signatureKey: publicOf(hostCa) } }],
];

describe('a trust document is refused', () => {
  test.each(strangers)('from a signer with %s', (_, faults) => {
    const signer = faults.certificate?.signatureKey === undefined ? hostCa : stranger;
    expect(judge(rotated, faults, [signer]).fault).toBe('signer-untrusted');
  });

  test('from a stranger, from the user CA, and from a key that only it itself announces', () => {
    for (const signer of [stranger, userCa, nextHostCa]) {
      expect(judge(rotated, undefined, [signer]).fault).toBe('signer-untrusted');
    }
  });

  test('from a statement key before and after its time', () => {
    for (const at of [now - 61n, now + 3600n]) {
      expect(judge(rotated, undefined, [hostCa], at).fault).toBe('signer-not-valid-now');
    }
  });

  test('when it was signed as something else', () => {
    for (const namespace of ['krl@countersign', 'time@countersign', 'host-challenge@countersign', 'file']) {
      expect(judge(rotated, { namespace }).fault).toBe('signature-invalid');
    }
  });

  test('when it was changed or cut off after it was signed', () => {
    const reply = trustReply([hostCa], trustDocument(rotated, now), now);
    const bytes = decodeBase64(reply.payload);
    for (const altered of [bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.from(' ')])]) {
      const verdict = judgeTrust({ ...reply, payload: encodeBase64(altered) }, held, now);
      expect(verdict.fault).toBe('signature-invalid');
    }
    const [signature = ''] = reply.signatures;
    const cut = encodeBase64(decodeBase64(signature).subarray(0, -1));
    expect(judgeTrust({ ...reply, signatures: [cut] }, held, now).fault).toBe('unsigned');
  });

  test('with a smaller number, and with the number of now for other keys', () => {
    expect(judge({ ...rotated, number: 4 }).fault).toBe('older');
    expect(judge({ ...rotated, number: 5 }).fault).toBe('number-reused');
  });

  test('when it is another document', () => {
    const document = trustDocument(rotated, now);
    const others = [
      { ...document, type: 'countersign-status-v1' },
      { ...document, number: 6.5 },
      { ...document, hostCas: [] },
      { ...document, krl: { number: '03', path: '/ssh/krl' } },
      { ...document, krl: { number: '3', path: 'https://elsewhere.example/krl' } },
      [],
      null,
    ];
    for (const other of others) {
      expect(judgeTrust(trustReply([hostCa], other, now), held, now).fault).toBe('payload-malformed');
    }
  });

  test('with keys that cannot be trusted together, or are not what they say', () => {
    const [host, next] = [listedKey(hostCa), listedKey(nextHostCa, 'next')];
    const lists: Partial<TrustSample>[] = [
      { userCas: [listedKey(userCa), listedKey(hostCa, 'old')] },
      { hostCas: [host, listedKey(hostCa, 'old')] },
      { hostCas: [next, host] },
      { hostCas: [host, listedKey(nextHostCa)] },
      { hostCas: [next] },
      { hostCas: [{ ...host, fingerprint: next.fingerprint }] },
      { hostCas: [{ ...host, key: encodeBase64(Buffer.from('no key')) }] },
    ];
    for (const list of lists) expect(judge({ ...rotated, ...list }).fault).toBe('keys-unusable');
  });
});

const krlBytes = encodeKrl(
  createKrl({
    number: 7n,
    generatedDate: now,
    certificates: [{ ca: Buffer.from('a'), serials: SerialSet.of([1n, 2n, 9n]) }],
    sha256Fingerprints: [new Uint8Array(32)],
  }),
);
const trusted = fingerprintsOf(held.hostCaKeys);

function judgeBytes(bytes: Uint8Array, heldNumber?: bigint, faults?: StatementFaults, signers = [hostCa]) {
  return judgeKrl({ bytes, armored: krlSignatures(signers, bytes, now, faults) }, heldNumber, trusted, now);
}

describe('a KRL', () => {
  test('of the CA is taken, a newer one and the same one again', () => {
    for (const heldNumber of [undefined, 0n, 6n, 7n]) {
      expect(judgeBytes(krlBytes, heldNumber)).toMatchObject({ krl: { number: 7n } });
    }
    expect(judgeBytes(krlBytes, 6n, undefined, [stranger, hostCa]).fault).toBeUndefined();
  });

  test('that is older is refused', () => {
    expect(judgeBytes(krlBytes, 8n).fault).toBe('older');
  });

  test.each(strangers)('from a signer with %s is refused', (_, faults) => {
    const signer = faults.certificate?.signatureKey === undefined ? hostCa : stranger;
    expect(judgeBytes(krlBytes, 6n, faults, [signer]).fault).toBe('signer-untrusted');
  });

  test('from a stranger, signed as something else, or at another time is refused', () => {
    expect(judgeBytes(krlBytes, 6n, undefined, [stranger]).fault).toBe('signer-untrusted');
    expect(judgeBytes(krlBytes, 6n, { namespace: 'trust@countersign' }).fault).toBe('signature-invalid');
    const past = { validAfter: now - 7200n, validBefore: now - 1n };
    expect(judgeBytes(krlBytes, 6n, { certificate: past }).fault).toBe('signer-not-valid-now');
  });

  test('that was cut off, or does not belong to its signature, is refused', () => {
    const armored = krlSignatures([hostCa], krlBytes, now);
    for (const bytes of [krlBytes.subarray(0, -1), new Uint8Array()]) {
      expect(judgeKrl({ bytes, armored }, 6n, trusted, now).fault).toBe('signature-invalid');
    }
    for (const cut of ['', 'no signature', armored.slice(0, -20), `${armored}more`]) {
      expect(judgeKrl({ bytes: krlBytes, armored: cut }, 6n, trusted, now).fault).toBe('unsigned');
    }
  });

  test('that is signed and cannot be read to its end is refused: sshd would refuse every key', () => {
    const garbage = [Buffer.from('garbage'), krlBytes.subarray(0, -1), Buffer.concat([krlBytes, Buffer.of(0)])];
    for (const bytes of garbage) expect(judgeBytes(bytes, 6n).fault).toBe('malformed');
  });
});
