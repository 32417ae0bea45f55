import { describe, expect, test } from 'vitest';
import { formatCertificateLine, parseCertificateLine } from '#openssh/certificate-line.ts';
import {
  type CertificateFields,
  INFINITE_VALIDITY,
  assembleCertificate,
  decodeCertificate,
  encodeToBeSigned,
  flagOption,
  isUsablePrincipal,
  optionText,
  textOption,
  verifyCertificateSignature,
} from '#openssh/certificate.ts';
import { encodePublicKey, writePublicKeyFields } from '#openssh/public-key.ts';
import { encodeSignature } from '#openssh/signature.ts';
import { WireWriter } from '#openssh/wire.ts';
import {
  bytes,
  sampleCa,
  sampleCertificate,
  sampleFields,
  sampleKeys,
  sampleTypes,
  signSample,
  vectorText,
} from './samples.ts';

const failsWith = (code: string): unknown => expect.objectContaining({ name: 'FormatError', code });

describe.each(sampleTypes)('a certificate for %s', (type) => {
  const certificate = sampleCertificate({ key: sampleKeys[type].publicKey });

  test('holds what was put in, and verifies', () => {
    const { blob: _, signedBytes: __, signature: ___, ...fields } = certificate;
    const expected = sampleFields({ key: sampleKeys[type].publicKey });
    expect(fields).toEqual({ ...expected, extensions: expected.extensions.toReversed() });
    expect(verifyCertificateSignature(certificate)).toBe(true);
  });

  test('encodes again to the bytes that were signed', () => {
    expect(encodeToBeSigned(certificate)).toEqual(certificate.signedBytes);
    expect(assembleCertificate(certificate.signedBytes, certificate.signature)).toEqual(certificate.blob);
  });

  test('is one line of text and back', () => {
    const line = formatCertificateLine(certificate, 'alice');
    expect(parseCertificateLine(line)).toEqual({ certificate, comment: 'alice' });
  });

  test('may be signed by a CA of this type', () => {
    expect(verifyCertificateSignature(sampleCertificate({}, sampleKeys[type]))).toBe(true);
  });
});

test.each([
  ['ed25519_1', 8n],
  ['ecdsa_1', 7n],
  ['rsa_1', 5n],
  ['ed25519_sk1', 8n],
  ['ecdsa_sk1', 7n],
])('the vector %s is read and verifies', (name, serial) => {
  const { certificate } = parseCertificateLine(vectorText(`${name}-cert.pub`));
  expect(certificate).toMatchObject({ type: 'host', serial, keyId: 'julius', principals: ['host1', 'host2'] });
  expect(verifyCertificateSignature(certificate)).toBe(true);
  expect(encodeToBeSigned(certificate)).toEqual(certificate.signedBytes);
});

test('any change to the signed bytes shows', () => {
  const { blob, signedBytes } = sampleCertificate();
  for (let at = 0; at < signedBytes.length; at++) {
    const changed = blob.slice();
    changed[at] = (changed[at] ?? 0) ^ 0x20;
    let verified = false;
    try {
      verified = verifyCertificateSignature(decodeCertificate(changed));
    } catch (error) {
      expect(error).toMatchObject({ name: 'FormatError' });
    }
    expect(verified).toBe(false);
  }
});

describe('never signed', () => {
  test.each<[string, Partial<CertificateFields>]>([
    ['no principals', { principals: [] }],
    ['an empty principal', { principals: [''] }],
    ['257 principals', { principals: Array.from({ length: 257 }, (_, index) => `p${index}`) }],
    ['a wildcard', { principals: ['*.example.com'] }],
    ['validity for ever', { validBefore: INFINITE_VALIDITY }],
    ['empty validity', { validAfter: 5n, validBefore: 5n }],
    ['validity backwards', { validAfter: 6n, validBefore: 5n }],
    ['serial 0', { serial: 0n }],
    ['a serial over 64 bits', { serial: 2n ** 64n }],
    ['a nonce of 15 bytes', { nonce: new Uint8Array(15) }],
    ['a nonce of 65 bytes', { nonce: new Uint8Array(65) }],
    ['an option twice', { extensions: [flagOption('permit-pty'), flagOption('permit-pty')] }],
    ['a key ID that would not be read', { keyId: 'x'.repeat(16 * 1024 + 1) }],
    ['a key ID with a NUL', { keyId: 'a\0b' }],
    ['options that would not be read', { criticalOptions: [textOption('force-command', 'x'.repeat(64 * 1024))] }],
  ])('%s', (_, changes) => {
    expect(() => encodeToBeSigned(sampleFields(changes))).toThrow(TypeError);
  });

  test.each([
    'a,b',
    'a b',
    'a\tb',
    'a\nb',
    'a*',
    '?a',
    '!a',
    'a"',
    "a'",
    'a\\b',
    'a\u0007',
    'a\u00a0b',
    'a\u200b',
    '\ud800',
  ])('the principal %j', (principal) => {
    expect(isUsablePrincipal(principal)).toBe(false);
  });

  test.each(['alice', 'alice@example.com', 'host.example.com', '2001:db8::1', 'svc_x-1.2', 'jürgen'])(
    'but the principal %j',
    (principal) => {
      expect(isUsablePrincipal(principal)).toBe(true);
    },
  );
});

/** A certificate by hand, so that each field can be what our own encoder would not write. */
function forged(changes: Partial<Record<ForgedField, (writer: WireWriter) => void>> = {}): Uint8Array {
  const key = sampleKeys['ssh-ed25519'].publicKey;
  const ca = encodePublicKey(sampleCa.publicKey);
  const fields: Record<ForgedField, (writer: WireWriter) => void> = {
    name: (w) => w.string('ssh-ed25519-cert-v01@openssh.com'),
    nonce: (w) => w.string(new Uint8Array(32)),
    key: (w) => {
      writePublicKeyFields(key, w);
    },
    serial: (w) => w.uint64(1n),
    type: (w) => w.uint32(1),
    keyId: (w) => w.string('id'),
    principals: (w) => w.string(new WireWriter().string('alice').finish()),
    validity: (w) => w.uint64(1n).uint64(2n),
    options: (w) => w.string(''),
    extensions: (w) => w.string(''),
    reserved: (w) => w.string(''),
    ca: (w) => w.string(ca),
  };
  const writer = new WireWriter();
  for (const name of Object.keys(fields) as ForgedField[]) (changes[name] ?? fields[name])(writer);
  const signed = writer.finish();
  return assembleCertificate(signed, signSample(sampleCa, signed));
}
type ForgedField =
  | 'name'
  | 'nonce'
  | 'key'
  | 'serial'
  | 'type'
  | 'keyId'
  | 'principals'
  | 'validity'
  | 'options'
  | 'extensions'
  | 'reserved'
  | 'ca';

describe('decoding', () => {
  test('takes what OpenSSH takes', () => {
    const accepted = [
      forged(),
      forged({ serial: (w) => w.uint64(0n) }),
      forged({ principals: (w) => w.string('') }),
      forged({ validity: (w) => w.uint64(0n).uint64(INFINITE_VALIDITY) }),
      forged({ reserved: (w) => w.string('something new') }),
      forged({
        extensions: (w) => w.string(new WireWriter().string('zz').string('').string('aa').string('').finish()),
      }),
    ];
    for (const blob of accepted) {
      const certificate = decodeCertificate(blob);
      expect(verifyCertificateSignature(certificate)).toBe(true);
      expect(certificate.signedBytes).toEqual(blob.subarray(0, certificate.signedBytes.length));
    }
  });

  const doubled = new WireWriter().string('a').string('').string('a').string('').finish();
  const manyPrincipals = new WireWriter();
  for (let count = 0; count < 257; count++) manyPrincipals.string('p');
  test.each<[string, string, Parameters<typeof forged>[0]]>([
    ['a plain key type', 'unsupported-algorithm', { name: (w) => w.string('ssh-ed25519') }],
    ['an old certificate type', 'unsupported-algorithm', { name: (w) => w.string('ssh-rsa-cert-v00@openssh.com') }],
    ['a DSA certificate', 'unsupported-algorithm', { name: (w) => w.string('ssh-dss-cert-v01@openssh.com') }],
    ['type 0', 'bad-value', { type: (w) => w.uint32(0) }],
    ['type 3', 'bad-value', { type: (w) => w.uint32(3) }],
    ['a NUL in the key ID', 'bad-value', { keyId: (w) => w.string(Uint8Array.of(0x61, 0)) }],
    ['an option twice', 'bad-value', { options: (w) => w.string(doubled) }],
    ['an extension twice', 'bad-value', { extensions: (w) => w.string(doubled) }],
    ['half an option', 'truncated', { options: (w) => w.string(new WireWriter().string('a').finish()) }],
    ['257 principals', 'too-large', { principals: (w) => w.string(manyPrincipals.finish()) }],
    ['a nonce of 2 KiB', 'too-large', { nonce: (w) => w.string(new Uint8Array(2048)) }],
    ['a CA key that is a certificate', 'unsupported-algorithm', { ca: (w) => w.string(sampleCertificate().blob) }],
    [
      'a CA key with a byte too many',
      'trailing-data',
      {
        ca: (w) => w.string(Buffer.concat([encodePublicKey(sampleCa.publicKey), Uint8Array.of(0)])),
      },
    ],
  ])('refuses %s', (_, code, changes) => {
    expect(() => decodeCertificate(forged(changes))).toThrow(failsWith(code));
  });

  test('refuses a signature with SHA-1, and one that the CA key cannot make', () => {
    const { signedBytes } = sampleCertificate({}, sampleKeys['ssh-rsa']);
    const sha1 = new WireWriter().string('ssh-rsa').string(new Uint8Array(256)).finish();
    expect(() => decodeCertificate(new WireWriter().raw(signedBytes).string(sha1).finish())).toThrow(
      failsWith('unsupported-algorithm'),
    );
    const other = encodeSignature(signSample(sampleKeys['ssh-ed25519'], signedBytes));
    expect(() => decodeCertificate(new WireWriter().raw(signedBytes).string(other).finish())).toThrow(
      failsWith('unsupported-algorithm'),
    );
  });

  test('refuses a certificate longer than 256 KiB before it looks at it', () => {
    expect(() => decodeCertificate(new Uint8Array(256 * 1024 + 1))).toThrow(failsWith('too-large'));
  });

  test('refuses ML-DSA, by its name', () => {
    expect(() => parseCertificateLine(vectorText('mldsa44_ed25519_1-cert.pub'))).toThrow(/ML-DSA/);
  });
});

describe('the line', () => {
  const certificate = sampleCertificate();

  test('refuses a type in front that is not that of the certificate', () => {
    const line = formatCertificateLine(certificate).replace('ssh-ed25519-cert', 'ssh-rsa-cert');
    expect(() => parseCertificateLine(line)).toThrow(failsWith('bad-value'));
  });

  test('is not a key line', () => {
    expect(() => parseCertificateLine(vectorText('ed25519_1.pub'))).toThrow(failsWith('unsupported-algorithm'));
    expect(() => formatCertificateLine(certificate, 'a\r')).toThrow(TypeError);
  });
});

test('the text in an option is exactly one text', () => {
  expect(optionText(textOption('force-command', 'ls'))).toBe('ls');
  expect(optionText(flagOption('permit-pty'))).toBeUndefined();
  expect(optionText({ name: 'x', data: new WireWriter().string('a').byte(0).finish() })).toBeUndefined();
  expect(optionText({ name: 'x', data: bytes('abc') })).toBeUndefined();
});
