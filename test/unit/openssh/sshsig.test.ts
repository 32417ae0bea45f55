import { describe, expect, test } from 'vitest';
import { encodePublicKey, parsePublicKeyLine } from '#openssh/public-key.ts';
import {
  type Sshsig,
  armorSshsig,
  dearmorSshsig,
  decodeSshsig,
  encodeSshsig,
  encodeSshsigToBeSigned,
  verifySshsig,
} from '#openssh/sshsig.ts';
import { WireWriter } from '#openssh/wire.ts';
import {
  type SampleKey,
  bytes,
  sampleCertificate,
  sampleKeys,
  sampleTypes,
  signSample,
  vector,
  vectorText,
} from './samples.ts';

const failsWith = (code: string): unknown => expect.objectContaining({ name: 'FormatError', code });
const message = bytes('the message');
const namespace = 'test@example.com';

function signed(
  key: SampleKey,
  keyBlob = encodePublicKey(key.publicKey),
  hash: 'sha256' | 'sha512' = 'sha512',
): Sshsig {
  const signature = signSample(key, encodeSshsigToBeSigned(message, namespace, hash));
  return decodeSshsig(encodeSshsig({ keyBlob, namespace, signature, hash }));
}

describe.each(sampleTypes)('%s', (type) => {
  test.each(['sha256', 'sha512'] as const)('signs with %s, and the armor comes back', (hash) => {
    const sshsig = signed(sampleKeys[type], undefined, hash);
    expect(sshsig).toMatchObject({ key: sampleKeys[type].publicKey, namespace, hash });
    expect(verifySshsig(sshsig, message, namespace)).toBe(true);
    const blob = encodeSshsig(sshsig);
    expect(dearmorSshsig(armorSshsig(blob))).toEqual(blob);
  });

  test('signs as a certificate', () => {
    const certificate = sampleCertificate({ key: sampleKeys[type].publicKey });
    const sshsig = signed(sampleKeys[type], certificate.blob);
    expect(sshsig.certificate).toEqual(certificate);
    expect(verifySshsig(sshsig, message, namespace)).toBe(true);
  });
});

describe("OpenSSH's vectors", () => {
  const data = vector('sshsig/signed-data');
  const vectorNamespace = vectorText('sshsig/namespace');

  test.each(['ed25519', 'ecdsa', 'rsa', 'ed25519_sk', 'ecdsa_sk'])('%s verifies, and its armor is ours', (name) => {
    const text = Buffer.from(vector(`sshsig/${name}.sig`)).toString();
    const sshsig = decodeSshsig(dearmorSshsig(text));
    expect(sshsig.key).toEqual(parsePublicKeyLine(vectorText(`sshsig/${name}.pub`)).key);
    expect(verifySshsig(sshsig, data, vectorNamespace)).toBe(true);
    expect(verifySshsig(sshsig, bytes('other data'), vectorNamespace)).toBe(false);
    expect(armorSshsig(encodeSshsig(sshsig))).toBe(text);
  });

  test.each(['ecdsa_sk_webauthn', 'mldsa44-ed25519'])('%s is refused on purpose', (name) => {
    expect(() => decodeSshsig(dearmorSshsig(vectorText(`sshsig/${name}.sig`)))).toThrow(
      failsWith('unsupported-algorithm'),
    );
  });
});

describe('the namespace', () => {
  const sshsig = signed(sampleKeys['ssh-ed25519']);

  test.each(['test@example.co', 'test@example.com ', 'Test@example.com', '*', ''])('%j is another', (other) => {
    expect(verifySshsig(sshsig, message, other)).toBe(false);
  });

  test('is signed: renaming it in the blob does not help', () => {
    const renamed = decodeSshsig(encodeSshsig({ ...sshsig, namespace: 'file' }));
    expect(verifySshsig(renamed, message, 'file')).toBe(false);
  });

  test('is never empty', () => {
    expect(() => encodeSshsigToBeSigned(message, '')).toThrow(TypeError);
    expect(() => encodeSshsig({ ...sshsig, namespace: '' })).toThrow(TypeError);
  });

  test('the hash is signed too', () => {
    const other = decodeSshsig(encodeSshsig({ ...sshsig, hash: 'sha256' }));
    expect(verifySshsig(other, message, namespace)).toBe(false);
  });
});

describe('decoding refuses', () => {
  const { keyBlob, signature } = signed(sampleKeys['ssh-ed25519']);
  const signatureBlob = new WireWriter().string(signature.algorithm).string(signature.blob).finish();
  const forged = (changes: Partial<Record<'magic' | 'version' | 'key' | 'namespace' | 'hash', unknown>>): Uint8Array =>
    new WireWriter()
      .raw(bytes((changes.magic as string | undefined) ?? 'SSHSIG'))
      .uint32((changes.version as number | undefined) ?? 1)
      .string((changes.key as Uint8Array | undefined) ?? keyBlob)
      .string((changes.namespace as string | undefined) ?? 'n')
      .string('')
      .string((changes.hash as string | undefined) ?? 'sha512')
      .string(signatureBlob)
      .finish();

  test('nothing that is in order', () => {
    expect(decodeSshsig(forged({})).namespace).toBe('n');
  });

  test.each([
    ['another magic', 'bad-value', { magic: 'SSHSIH' }],
    ['version 0', 'bad-value', { version: 0 }],
    ['version 2', 'bad-value', { version: 2 }],
    ['an empty namespace', 'bad-value', { namespace: '' }],
    ['SHA-1', 'unsupported-algorithm', { hash: 'sha1' }],
    ['SHA-384', 'unsupported-algorithm', { hash: 'sha384' }],
    [
      'a key of another type than the signature',
      'unsupported-algorithm',
      {
        key: encodePublicKey(sampleKeys['ssh-rsa'].publicKey),
      },
    ],
    ['an empty key', 'truncated', { key: new Uint8Array() }],
  ])('%s', (_, code, changes) => {
    expect(() => decodeSshsig(forged(changes))).toThrow(failsWith(code));
  });
});

describe('the armor', () => {
  const armor = armorSshsig(encodeSshsig(signed(sampleKeys['ssh-ed25519'])));

  test('has lines of 70 and ends in a line end', () => {
    const lines = armor.split('\n');
    expect(lines.slice(1, -3).every((line) => line.length === 70)).toBe(true);
    expect(lines.at(-1)).toBe('');
  });

  test('may have other line ends and white space around it', () => {
    const blob = dearmorSshsig(armor);
    expect(dearmorSshsig(`\n ${armor.replaceAll('\n', '\r\n')} \n`)).toEqual(blob);
    expect(dearmorSshsig(armor.trim())).toEqual(blob);
  });

  test.each([
    ['no begin', armor.split('\n').slice(1).join('\n'), 'bad-armor'],
    ['no end', armor.split('\n').slice(0, -2).join('\n'), 'bad-armor'],
    ['text before', `hello\n${armor}`, 'bad-armor'],
    ['another label', armor.replaceAll('SSH SIGNATURE', 'SSH SIGNATURF'), 'bad-armor'],
    ['a space inside', armor.replace('AAA', 'A A'), 'bad-base64'],
    ['a header', armor.replace('\n', '\nVersion: 1\n'), 'bad-base64'],
  ])('refuses %s', (_, text, code) => {
    expect(() => dearmorSshsig(text)).toThrow(failsWith(code));
  });

  test('refuses a text longer than any SSHSIG', () => {
    expect(() => dearmorSshsig('A'.repeat(1024 * 1024))).toThrow(failsWith('too-large'));
  });
});
