import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { poly1305 } from '#openssh/poly1305.ts';
import { readPrivateKeyFields, writePrivateKeyFields } from '#openssh/private-key-fields.ts';
import {
  type PrivateKey,
  type SecurityKey,
  decodeOpensshPrivateKey,
  encodePrivateKey,
  parsePrivateKey,
  parseSoftwareKey,
} from '#openssh/private-key.ts';
import { encodePublicKey, parsePublicKeyLine, publicKeyObject } from '#openssh/public-key.ts';
import { WireReader, WireWriter } from '#openssh/wire.ts';
import {
  bytes,
  fromHex,
  sampleCertificate,
  sampleKeys,
  sampleTypes,
  softwareTypes,
  vector,
  vectorText,
} from './samples.ts';

const failsWith = (code: string): unknown => expect.objectContaining({ name: 'FormatError', code });
const vectorPassphrase = bytes('mekmitasdigoat');
const random = { checkInt: 0x12345678, salt: new Uint8Array(16).fill(3) };

function privateSample(type: (typeof sampleTypes)[number]): PrivateKey {
  const { publicKey, privateKey } = sampleKeys[type];
  if (!('application' in publicKey)) return { publicKey, privateKey, comment: 'a comment' };
  return { publicKey, flags: 1, keyHandle: bytes('handle'), reserved: new Uint8Array(), comment: 'a comment' };
}

function armored(blob: Uint8Array): Uint8Array {
  return bytes(`-----BEGIN OPENSSH PRIVATE KEY-----\n${encodeBase64(blob)}\n-----END OPENSSH PRIVATE KEY-----\n`);
}

function dearmored(file: string): Uint8Array {
  return decodeBase64(file.split('\n').slice(1, -2).join(''));
}

describe.each(sampleTypes)("%s in OpenSSH's format", (type) => {
  const key = privateSample(type);

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
      encodePrivateKey(privateSample('ssh-ed25519'), { random, passphrase: bytes('x'), rounds: 1 }),
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

describe('a forged OpenSSH file', () => {
  const key = privateSample('ssh-ed25519');
  const other = generateKeyPairSync('ed25519').privateKey;

  interface Parts {
    cipher: string;
    kdf: string;
    options: string;
    count: number;
    publicBlob: Uint8Array;
    checks: [number, number];
    padding: number[];
    end: Uint8Array;
  }
  function forged(changes: Partial<Parts>): Uint8Array {
    const parts: Parts = {
      cipher: 'none',
      kdf: 'none',
      options: '',
      count: 1,
      publicBlob: encodePublicKey(key.publicKey),
      checks: [7, 7],
      padding: [1, 2, 3, 4],
      end: new Uint8Array(),
      ...changes,
    };
    const body = new WireWriter().uint32(parts.checks[0]).uint32(parts.checks[1]);
    writePrivateKeyFields(key, body);
    body.string('c'.repeat(9));
    for (const byte of parts.padding) body.byte(byte);
    const writer = new WireWriter().raw(bytes('openssh-key-v1\0'));
    writer.string(parts.cipher).string(parts.kdf).string(parts.options).uint32(parts.count);
    return armored(writer.string(parts.publicBlob).string(body.finish()).raw(parts.end).finish());
  }

  test('is read when nothing is wrong', () => {
    expect(parsePrivateKey(forged({})).comment).toBe('ccccccccc');
  });

  test.each<[string, string, Partial<Parts>]>([
    ['two keys', 'bad-value', { count: 2 }],
    ['no key', 'bad-value', { count: 0 }],
    ['an unknown cipher', 'unsupported-algorithm', { cipher: 'rot13', kdf: 'bcrypt' }],
    ['an unknown KDF', 'unsupported-algorithm', { cipher: 'aes256-ctr', kdf: 'scrypt' }],
    ['a cipher without a KDF', 'unsupported-algorithm', { cipher: 'aes256-ctr' }],
    ['a KDF without a cipher', 'unsupported-algorithm', { kdf: 'bcrypt' }],
    ['options without a KDF', 'trailing-data', { options: 'x' }],
    ['check numbers that differ', 'bad-value', { checks: [7, 8] }],
    ['wrong padding', 'trailing-data', { padding: [1, 2, 3, 5] }],
    ['padding of a whole block', 'trailing-data', { padding: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }],
    ['no whole number of blocks', 'bad-value', { padding: [1, 2, 3] }],
    ['bytes at the end', 'trailing-data', { end: Uint8Array.of(0) }],
    ['another public key outside', 'bad-value', { publicBlob: encodePublicKey(sampleKeys['ssh-rsa'].publicKey) }],
  ])('is refused with %s', (_, code, changes) => {
    expect(() => parsePrivateKey(forged(changes))).toThrow(failsWith(code));
  });

  test('is refused when the halves of the key differ', () => {
    const seed = fromHex(Buffer.from(other.export({ format: 'jwk' }).d ?? '', 'base64url').toString('hex'));
    const wrong = new WireWriter().string('ssh-ed25519');
    const publicBytes = (key.publicKey as { key: Uint8Array }).key;
    wrong.string(publicBytes).string(Buffer.concat([seed, publicBytes]));
    expect(() => readPrivateKeyFields(new WireReader(wrong.finish()))).toThrow(failsWith('bad-value'));
  });

  test('is refused with armor headers', () => {
    const text = Buffer.from(forged({})).toString().replace('\n', '\nA: b\n\n');
    expect(() => parsePrivateKey(bytes(text))).toThrow(failsWith('bad-armor'));
  });
});

describe('keys whose parts do not belong together', () => {
  test('ECDSA with another scalar', () => {
    const { publicKey } = sampleKeys['ecdsa-sha2-nistp256'];
    const writer = new WireWriter()
      .string(publicKey.type)
      .string('nistp256')
      .string((publicKey as { point: Uint8Array }).point);
    for (const scalar of ['', '01', 'ff'.repeat(32), '01'.repeat(33)]) {
      const wire = new WireWriter().raw(writer.finish()).mpint(fromHex(scalar)).finish();
      expect(() => readPrivateKeyFields(new WireReader(wire))).toThrow(failsWith('bad-value'));
    }
  });

  test('RSA with any number changed', () => {
    const writer = new WireWriter();
    writePrivateKeyFields(privateSample('ssh-rsa'), writer);
    const reader = new WireReader(writer.finish());
    const [name, ...numbers] = [reader.text(), ...Array.from({ length: 6 }, () => reader.mpint())];
    for (const changed of numbers.keys()) {
      const wire = new WireWriter().string(name);
      for (const [index, number] of numbers.entries()) {
        const copy = number.slice();
        if (index === changed) copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 2;
        wire.mpint(copy);
      }
      expect(() => readPrivateKeyFields(new WireReader(wire.finish()))).toThrow(failsWith('bad-value'));
    }
  });

  test('RSA whose exponent fits one prime alone', () => {
    const { publicKey, privateKey } = sampleKeys['ssh-rsa'];
    const { d = '', p = '', q = '', qi = '' } = privateKey.export({ format: 'jwk' });
    const number = (text: string): bigint => BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`);
    const { modulus, exponent } = publicKey as { modulus: Uint8Array; exponent: Uint8Array };
    for (const prime of [p, q]) {
      const forged = (number(d) + number(prime) - 1n).toString(16).padStart(512, '0');
      const writer = new WireWriter().string('ssh-rsa').mpint(modulus).mpint(exponent).mpint(fromHex(forged));
      for (const text of [qi, p, q]) writer.mpint(Buffer.from(text, 'base64url'));
      expect(() => readPrivateKeyFields(new WireReader(writer.finish()))).toThrow(failsWith('bad-value'));
    }
  });

  test('PKCS#1 with a wrong CRT exponent: it does not come along', () => {
    const { publicKey, privateKey } = sampleKeys['ssh-rsa'];
    const der = privateKey.export({ format: 'der', type: 'pkcs1' });
    const dp = Buffer.from(privateKey.export({ format: 'jwk' }).dp ?? '', 'base64url');
    const at = der.indexOf(dp) + dp.length - 1;
    der[at] = (der[at] ?? 0) ^ 2;
    const read = parseSoftwareKey(new Uint8Array(der));
    expect(read.publicKey).toEqual(publicKey);
    expect(read.privateKey.equals(privateKey)).toBe(true);
    expect(read.privateKey.export({ format: 'jwk' }).dp).toBe(dp.toString('base64url'));
  });

  test('SEC1 whose public key is that of another', () => {
    const der = sampleKeys['ecdsa-sha2-nistp256'].privateKey.export({ format: 'der', type: 'sec1' });
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-65);
    const forgedDer = Buffer.concat([der.subarray(0, -65), point]);
    expect(() => parsePrivateKey(forgedDer)).toThrow(failsWith('bad-value'));
  });
});

describe('with a certificate, as the agent protocol has it', () => {
  test.each(sampleTypes)('%s comes back', (type) => {
    const { comment: _, ...fields } = privateSample(type);
    const certificate = sampleCertificate({ key: fields.publicKey });
    const writer = new WireWriter();
    writePrivateKeyFields({ ...fields, certificate }, writer);
    const reader = new WireReader(writer.finish());
    expect(readPrivateKeyFields(reader)).toEqual({ ...fields, certificate });
    reader.end();
  });

  test.each(sampleTypes)('%s is refused with the certificate of another key', (type) => {
    const { comment: _, ...fields } = privateSample(type);
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
  const key = privateSample('ssh-ed25519');

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
