import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { decodeBase64 } from '#openssh/base64.ts';
import { poly1305 } from '#openssh/poly1305.ts';
import { readPrivateKeyFields, writePrivateKeyFields } from '#openssh/private-key-fields.ts';
import {
  type SecurityKey,
  decodeOpensshPrivateKey,
  encodePrivateKey,
  parsePrivateKey,
  parseSoftwareKey,
} from '#openssh/private-key.ts';
import { parsePublicKeyLine, publicKeyObject } from '#openssh/public-key.ts';
import { WireReader, WireWriter } from '#openssh/wire.ts';
import {
  bytes,
  fromHex,
  sampleCertificate,
  sampleKeys,
  samplePrivateKey,
  sampleTypes,
  softwareTypes,
  vector,
  vectorText,
} from './samples.ts';

const failsWith = (code: string): unknown => expect.objectContaining({ name: 'FormatError', code });
const vectorPassphrase = bytes('mekmitasdigoat');
const random = { checkInt: 0x12345678, salt: new Uint8Array(16).fill(3) };

function dearmored(file: string): Uint8Array {
  return decodeBase64(file.split('\n').slice(1, -2).join(''));
}

describe.each(sampleTypes)("%s in OpenSSH's format", (type) => {
  const key = samplePrivateKey(type);

  test('comes back', () => {
    const file = encodePrivateKey(key, { random });
    expect(parsePrivateKey(bytes(file))).toEqual(key);
    expect(encodePrivateKey(parsePrivateKey(bytes(file)), { random })).toBe(file);
  });

  test('comes back encrypted', () => {
    const passphrase = bytes('geheim');
    const file = bytes(encodePrivateKey(key, { random, passphrase, rounds: 1, comment: 'another' }));
    expect(parsePrivateKey(file, passphrase)).toEqual({ ...key, comment: 'another' });
    expect(() => parsePrivateKey(file)).toThrow(failsWith('passphrase-needed'));
    expect(() => parsePrivateKey(file, new Uint8Array())).toThrow(failsWith('passphrase-needed'));
    expect(() => parsePrivateKey(file, bytes('Geheim'))).toThrow(failsWith('wrong-passphrase'));
  });
});

test('a bare KeyObject is written with the comment given', () => {
  const { privateKey, publicKey } = sampleKeys['ssh-ed25519'];
  const read = parseSoftwareKey(bytes(encodePrivateKey(privateKey, { random, comment: 'host' })));
  expect(read).toMatchObject({ publicKey, comment: 'host' });
  expect(read.privateKey.equals(privateKey)).toBe(true);
});

describe("OpenSSH's vectors", () => {
  test.each([
    ['ed25519_1', 'ed25519_1', undefined],
    ['ed25519_1_pw', 'ed25519_1', vectorPassphrase],
    ['ecdsa_1', 'ecdsa_1', undefined],
    ['ecdsa_1_pw', 'ecdsa_1', vectorPassphrase],
    ['rsa_1', 'rsa_1', undefined],
    ['rsa_1_pw', 'rsa_1', vectorPassphrase],
    ['rsa_n', 'rsa_1', undefined],
    ['ed25519_sk1', 'ed25519_sk1', undefined],
    ['ed25519_sk1_pw', 'ed25519_sk1', vectorPassphrase],
    ['ecdsa_sk1', 'ecdsa_sk1', undefined],
    ['ecdsa_sk1_pw', 'ecdsa_sk1', vectorPassphrase],
  ])('%s holds the key of %s.pub', (name, publicName, passphrase) => {
    const key = parsePrivateKey(vector(name), passphrase);
    expect(key.publicKey).toEqual(parsePublicKeyLine(vectorText(`${publicName}.pub`)).key);
    if (passphrase === undefined) return;
    expect(() => parsePrivateKey(vector(name))).toThrow(failsWith('passphrase-needed'));
    expect(() => parsePrivateKey(vector(name), bytes('wrong'))).toThrow(failsWith('wrong-passphrase'));
  });

  test.each(['ed25519_sk1', 'ecdsa_sk1'])('%s names its device key, and does not sign here', (name) => {
    const key = parsePrivateKey(vector(name)) as SecurityKey;
    expect(key).toMatchObject({ flags: 1, publicKey: { application: 'ssh:' } });
    expect(key.privateKey).toBeUndefined();
    expect(key.keyHandle.length).toBeGreaterThan(0);
    expect(() => parseSoftwareKey(vector(name))).toThrow(failsWith('unsupported-algorithm'));
  });

  test.each(['mldsa44_ed25519_1', 'mldsa44_ed25519_1_pw'])(
    '%s is refused by name, before a passphrase is asked for',
    (name) => {
      expect(() => parsePrivateKey(vector(name))).toThrow(/ML-DSA/);
    },
  );

  test('what we write for an unencrypted vector is the vector', () => {
    for (const name of ['ed25519_1', 'ed25519_sk1', 'ecdsa_sk1', 'rsa_n']) {
      const text = Buffer.from(vector(name)).toString();
      const key = parsePrivateKey(vector(name));
      const checkInt = checkIntOf(dearmored(text));
      expect(encodePrivateKey(key, { random: { checkInt } })).toBe(text);
    }
  });
});

function checkIntOf(blob: Uint8Array): number {
  const reader = new WireReader(blob);
  reader.raw(15);
  for (let skipped = 0; skipped < 3; skipped++) reader.string();
  reader.uint32();
  reader.string();
  return reader.nested().uint32();
}

// What `openssl` writes of one key each is checked against `openssl` itself in test/real; here node:crypto writes.
describe.each(softwareTypes)("%s in OpenSSL's formats", (type) => {
  const { privateKey, publicKey } = sampleKeys[type];
  const legacy = type === 'ssh-rsa' ? 'pkcs1' : type === 'ssh-ed25519' ? 'pkcs8' : 'sec1';

  test.each(['pkcs8', legacy] as const)('plain %s, PEM and DER', (kind) => {
    const pem = privateKey.export({ format: 'pem', type: kind } as { format: 'pem'; type: 'pkcs8' });
    const der = privateKey.export({ format: 'der', type: kind } as { format: 'der'; type: 'pkcs8' });
    for (const file of [bytes(pem), der, bytes(`some text\n${pem.replaceAll('\n', '\r\n')}`)]) {
      expect(parsePrivateKey(file)).toMatchObject({ publicKey, comment: '' });
    }
  });

  test('encrypted PKCS#8, PEM and DER', () => {
    const secret = { type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'geheim' } as const;
    for (const format of ['pem', 'der'] as const) {
      const exported = privateKey.export({ ...secret, format } as { format: 'pem'; type: 'pkcs8' });
      const file = typeof exported === 'string' ? bytes(exported) : (exported as Uint8Array);
      expect(parsePrivateKey(file, bytes('geheim'))).toMatchObject({ publicKey });
      expect(() => parsePrivateKey(file)).toThrow(failsWith('passphrase-needed'));
      expect(() => parsePrivateKey(file, bytes('falsch'))).toThrow(failsWith('wrong-passphrase'));
    }
  });
});

describe('refused on purpose', () => {
  test('kinds of keys that SSH or we do not use', () => {
    const kinds = [
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
      generateKeyPairSync('ed448'),
      generateKeyPairSync('x25519'),
      generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }),
    ];
    for (const { privateKey } of kinds) {
      const der = privateKey.export({ format: 'der', type: 'pkcs8' });
      expect(() => parsePrivateKey(der)).toThrow(failsWith('unsupported-algorithm'));
    }
  });

  test('an RSA key of 512 bits', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 512 });
    expect(() => parsePrivateKey(privateKey.export({ format: 'der', type: 'pkcs1' }))).toThrow(failsWith('bad-value'));
  });

  test('KDF work without bound', () => {
    const pkcs8 = (iterations: string): Uint8Array =>
      fromHex(
        `30 4d 30 47 06 09 2a864886f70d01050d 30 3a
           30 19 06 09 2a864886f70d01050c 30 0c 04 04 00000000 02 04 ${iterations}
           30 1d 06 09 60864801650304012a 04 10 ${'00'.repeat(16)}
         04 02 0000`,
      );
    expect(() => parsePrivateKey(pkcs8('7fffffff'), bytes('x'))).toThrow(failsWith('too-large'));
    expect(() => parsePrivateKey(pkcs8('ffffffff'), bytes('x'))).toThrow(failsWith('bad-value'));
    expect(() => parsePrivateKey(pkcs8('00000001'))).toThrow(failsWith('passphrase-needed'));
    expect(() => parsePrivateKey(pkcs8('00000001'), bytes('x'))).toThrow(failsWith('wrong-passphrase'));
  });

  test('bcrypt rounds without bound', () => {
    const blob = dearmored(
      encodePrivateKey(samplePrivateKey('ssh-ed25519'), { random, passphrase: bytes('x'), rounds: 1 }),
    );
    const at = Buffer.from(blob).indexOf(Buffer.from(random.salt)) + 16;
    for (const rounds of [257, 0xffff_ffff]) {
      new DataView(blob.buffer).setUint32(at, rounds);
      expect(() => decodeOpensshPrivateKey(blob, bytes('x'))).toThrow(failsWith('too-large'));
    }
    new DataView(blob.buffer).setUint32(at, 0);
    expect(() => decodeOpensshPrivateKey(blob, bytes('x'))).toThrow(failsWith('bad-value'));
  });

  test('a file over 128 KiB', () => {
    expect(() => parsePrivateKey(new Uint8Array(128 * 1024 + 1))).toThrow(failsWith('too-large'));
  });

  test.each([
    ['nothing', ''],
    ['a public key', vectorText('ed25519_1.pub')],
    ['a PEM public key', publicPem()],
    ['a PuTTY file', 'PuTTY-User-Key-File-2: ssh-ed25519\n'],
    ['a begin without an end', '-----BEGIN PRIVATE KEY-----\nAAAA\n'],
  ])('%s', (_, text) => {
    expect(() => parsePrivateKey(bytes(text))).toThrow(failsWith('bad-armor'));
  });

  test('a DSA file, old ciphers, a label that is not what is inside', () => {
    const pem = (label: string, headers: string, body: string): Uint8Array =>
      bytes(`-----BEGIN ${label}-----\n${headers}${body}\n-----END ${label}-----\n`);
    const der = sampleKeys['ecdsa-sha2-nistp256'].privateKey.export({ format: 'der', type: 'sec1' }).toString('base64');
    const desHeaders = 'Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-CBC,0011223344556677\n\n';
    expect(() => parsePrivateKey(pem('DSA PRIVATE KEY', '', der))).toThrow(failsWith('unsupported-algorithm'));
    expect(() => parsePrivateKey(pem('RSA PRIVATE KEY', '', der))).toThrow(failsWith('bad-value'));
    expect(() => parsePrivateKey(pem('RSA PRIVATE KEY', desHeaders, der), bytes('x'))).toThrow(
      failsWith('unsupported-algorithm'),
    );
  });
});

function publicPem(): string {
  return publicKeyObject(sampleKeys['ssh-ed25519'].publicKey).export({ format: 'pem', type: 'spki' });
}

describe('with a certificate, as the agent protocol has it', () => {
  test.each(sampleTypes)('%s comes back', (type) => {
    const { comment: _, ...fields } = samplePrivateKey(type);
    const certificate = sampleCertificate({ key: fields.publicKey });
    const writer = new WireWriter();
    writePrivateKeyFields({ ...fields, certificate }, writer);
    const reader = new WireReader(writer.finish());
    expect(readPrivateKeyFields(reader)).toEqual({ ...fields, certificate });
    reader.end();
  });

  test.each(sampleTypes)('%s is refused with the certificate of another key', (type) => {
    const { comment: _, ...fields } = samplePrivateKey(type);
    const { blob } = sampleCertificate({ key: fields.publicKey });
    const otherType = type === 'ssh-rsa' ? 'ssh-ed25519' : 'ssh-rsa';
    const other = sampleCertificate({ key: sampleKeys[otherType].publicKey });
    const writer = new WireWriter();
    writePrivateKeyFields({ ...fields, certificate: sampleCertificate({ key: fields.publicKey }) }, writer);
    const wire = Buffer.from(writer.finish());
    const start = wire.indexOf(Buffer.from(blob)) - 4;
    const swapped = Buffer.concat([
      wire.subarray(0, start),
      new WireWriter().string(other.blob).finish(),
      wire.subarray(start + 4 + blob.length),
    ]);
    expect(() => readPrivateKeyFields(new WireReader(swapped))).toThrow(failsWith('bad-value'));
    expect(() => {
      writePrivateKeyFields({ ...fields, certificate: other }, new WireWriter());
    }).toThrow(TypeError);
  });
});

describe('writing refuses', () => {
  const key = samplePrivateKey('ssh-ed25519');

  test.each([
    ['an empty passphrase', { passphrase: new Uint8Array(), random }],
    ['a passphrase with a NUL', { passphrase: Uint8Array.of(1, 0), random }],
    ['no salt', { passphrase: bytes('x'), random: { checkInt: 1 } }],
    ['a short salt', { passphrase: bytes('x'), random: { checkInt: 1, salt: new Uint8Array(8) } }],
    ['no rounds', { passphrase: bytes('x'), rounds: 0, random }],
    ['too many rounds', { passphrase: bytes('x'), rounds: 257, random }],
    ['half a round', { passphrase: bytes('x'), rounds: 1.5, random }],
    ['a check number that is no uint32', { random: { checkInt: -1 } }],
    ['a comment with a NUL', { random, comment: 'a\0' }],
  ])('%s', (_, options) => {
    expect(() => encodePrivateKey(key, options)).toThrow(TypeError);
  });

  test('a public KeyObject', () => {
    expect(() => encodePrivateKey(createPublicKey(sampleKeys['ssh-ed25519'].privateKey), { random })).toThrow(
      TypeError,
    );
  });
});

// RFC 8439 section 2.5.2 and appendix A.3, vectors 1, 7 and 8.
test.each([
  [
    '85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b',
    Buffer.from('Cryptographic Forum Research Group').toString('hex'),
    'a8061dc1305136c6c22b8baf0c0127a9',
  ],
  ['00'.repeat(32), '00'.repeat(64), '00'.repeat(16)],
  [`01${'00'.repeat(31)}`, `${'ff'.repeat(16)}f0${'ff'.repeat(15)}11${'00'.repeat(15)}`, `05${'00'.repeat(15)}`],
  [`01${'00'.repeat(31)}`, `${'ff'.repeat(16)}fb${'fe'.repeat(15)}${'01'.repeat(16)}`, '00'.repeat(16)],
])('Poly1305 with the key %s', (key, message, tag) => {
  expect(poly1305(fromHex(key), fromHex(message))).toEqual(fromHex(tag));
});
