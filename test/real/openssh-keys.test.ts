/** Keys: what we write the installed OpenSSH and OpenSSL read, what they write we read, and the same bytes where there is one form. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeBase64 } from '#openssh/base64.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { keyTypes } from '#openssh/key-type.ts';
import {
  type PrivateKey,
  type SoftwareKey,
  decodeOpensshPrivateKey,
  encodePrivateKey,
  parsePrivateKey,
  parseSoftwareKey,
} from '#openssh/private-key.ts';
import { decryptBlocks, deriveFileKey, fileCipherNamed } from '#openssh/private-key-cipher.ts';
import { encodePublicKey, formatPublicKeyLine, keyBits, parsePublicKeyLine } from '#openssh/public-key.ts';
import { WireReader } from '#openssh/wire.ts';
import { bytes, sampleKeys, sampleTypes, softwareTypes } from '#test/unit/openssh/samples.ts';
import { Workshop, madeKinds, nameOf } from './openssh-workshop.ts';

const passphrase = 'a pass phrase';
const random = { checkInt: 0xdeadbeef, salt: new Uint8Array(16).map((_, index) => index) };
let workshop: Workshop;

beforeAll(async () => {
  workshop = await Workshop.open();
  for (const [type, bits] of madeKinds) await workshop.newKey(nameOf(type, bits), type, bits);
});
afterAll(async () => {
  await workshop[Symbol.asyncDispose]();
});

/** What ssh-keygen drew at random for this file; `secret` when it is encrypted with aes256-ctr. */
function drawnFor(file: string, secret?: string): { salt: Uint8Array; rounds: number; checkInt: number } {
  const reader = new WireReader(decodeBase64(file.split('\n').slice(1, -2).join('')));
  reader.raw(15);
  const cipherName = reader.text();
  reader.string();
  const kdf = reader.nested();
  reader.uint32();
  reader.string();
  const body = reader.string();
  if (secret === undefined) return { salt: new Uint8Array(16), rounds: 1, checkInt: new WireReader(body).uint32() };
  const [salt, rounds] = [kdf.string(), kdf.uint32()];
  const cipher = fileCipherNamed(cipherName);
  const plain = decryptBlocks(cipher, deriveFileKey(cipher, bytes(secret), salt, rounds), body, new Uint8Array());
  return { salt, rounds, checkInt: new WireReader(plain).uint32() };
}

describe.each(madeKinds)('ssh-keygen -t %s, %s bits', (type, bits) => {
  const name = nameOf(type, bits);

  test('the public line is ours, byte for byte', async () => {
    const line = (await workshop.readText(`${name}.pub`)).trimEnd();
    const { key, comment } = parsePublicKeyLine(line);
    expect(formatPublicKeyLine(key, comment)).toBe(line);
    const { publicKey } = parsePrivateKey(await workshop.read(name));
    expect(formatPublicKeyLine(publicKey)).toBe(
      (await workshop.keygen('-y', '-f', name)).trim().replace(' a comment', ''),
    );
  });

  test('size, fingerprint, comment and label are what -l prints', async () => {
    const { key, blob, comment } = parsePublicKeyLine(await workshop.readText(`${name}.pub`));
    const ours = `${keyBits(key)} ${fingerprintOf(blob)} ${comment} (${keyTypes[key.type].label})`;
    expect((await workshop.keygen('-l', '-f', `${name}.pub`)).trim()).toBe(ours);
  });

  test('the private file is ours, byte for byte', async () => {
    const file = await workshop.readText(name);
    const { checkInt } = drawnFor(file);
    expect(encodePrivateKey(parsePrivateKey(bytes(file)), { random: { checkInt } })).toBe(file);
  });

  test('the encrypted file is ours too, byte for byte', async () => {
    await workshop.write('encrypted', await workshop.read(name));
    await workshop.keygen('-q', '-p', '-P', '', '-N', passphrase, '-a', '2', '-f', 'encrypted');
    const file = await workshop.readText('encrypted');
    const key = parsePrivateKey(bytes(file), bytes(passphrase));
    const { rounds, ...drawn } = drawnFor(file, passphrase);
    expect(rounds).toBe(2);
    expect(encodePrivateKey(key, { passphrase: bytes(passphrase), rounds, random: drawn })).toBe(file);
  });

  test.each([
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
    'aes128-cbc',
    'aes192-cbc',
    'aes256-cbc',
    '3des-cbc',
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'chacha20-poly1305@openssh.com',
  ])('encrypted with %s it is read', async (cipher) => {
    const file = `${cipher.split('@')[0] ?? ''}.key`;
    await workshop.write(file, await workshop.read(name));
    await workshop.keygen('-q', '-p', '-P', '', '-N', passphrase, '-a', '1', '-Z', cipher, '-f', file);
    const key = parsePrivateKey(await workshop.read(file), bytes(passphrase));
    expect(key).toMatchObject({ comment: 'a comment' });
    expect(encodePublicKey(key.publicKey)).toEqual(parsePublicKeyLine(await workshop.readText(`${name}.pub`)).blob);
    const wrong = expect.objectContaining({ code: 'wrong-passphrase' }) as unknown;
    const content = await workshop.read(file);
    expect(() => parsePrivateKey(content, bytes('wrong'))).toThrow(wrong);
    if (!/gcm|poly1305/.test(cipher)) return;
    // The cipher authenticates: a change that harms no field is found all the same.
    const lines = Buffer.from(content).toString().split('\n');
    const blob = decodeBase64(lines.slice(1, -2).join(''));
    const inComment = blob.length - 16 - 8 - 4;
    blob[inComment] = (blob[inComment] ?? 0) ^ 1;
    expect(() => decodeOpensshPrivateKey(blob, bytes(passphrase))).toThrow(wrong);
  });
});

describe.each(sampleTypes)('what we write for %s', (type) => {
  const { publicKey, privateKey } = sampleKeys[type];
  const key: PrivateKey =
    'application' in publicKey
      ? { publicKey, flags: 1, keyHandle: bytes('handle'), reserved: new Uint8Array(), comment: 'by us' }
      : { publicKey, privateKey, comment: 'by us' };
  const line = formatPublicKeyLine(publicKey, 'by us');

  test('ssh-keygen reads, plain and encrypted', async () => {
    await workshop.write('ours', encodePrivateKey(key, { random }));
    expect((await workshop.keygen('-y', '-f', 'ours')).trim()).toBe(line);
    await workshop.write('ours', encodePrivateKey(key, { random, passphrase: bytes(passphrase) }));
    expect((await workshop.keygen('-y', '-P', passphrase, '-f', 'ours')).trim()).toBe(line);
    expect((await workshop.try('ssh-keygen', ['-y', '-P', 'wrong', '-f', 'ours'])).exitCode).not.toBe(0);
  });

  test('ssh-keygen writes again, and we read that', async () => {
    await workshop.write('ours', encodePrivateKey(key, { random }));
    await workshop.keygen('-q', '-p', '-P', '', '-N', passphrase, '-a', '1', '-f', 'ours');
    expect(parsePrivateKey(await workshop.read('ours'), bytes(passphrase))).toEqual(key);
  });

  test('ssh-keygen prints the same fingerprint and label', async () => {
    await workshop.write('ours.pub', `${line}\n`);
    const ours = `${keyBits(publicKey)} ${fingerprintOf(encodePublicKey(publicKey))} by us (${keyTypes[type].label})`;
    expect((await workshop.keygen('-l', '-f', 'ours.pub')).trim()).toBe(ours);
  });
});

describe("OpenSSL's formats", () => {
  const pem = (key: SoftwareKey): string => key.privateKey.export({ format: 'pem', type: 'pkcs8' });
  const keys = softwareTypes.map((type) => [type, sampleKeys[type]] as const);

  async function expectRead(name: string, key: SoftwareKey['publicKey'], secret?: string): Promise<void> {
    const file = await workshop.read(name);
    expect(parseSoftwareKey(file, secret === undefined ? undefined : bytes(secret)).publicKey).toEqual(key);
  }

  test.each(keys)('%s as openssl pkcs8 encrypts it', async (_, sample) => {
    const key = sample as unknown as SoftwareKey;
    await workshop.write('pkcs8.pem', pem(key));
    const ways = [
      ['-v2', 'aes-256-cbc'],
      ['-v2', 'aes-128-cbc', '-v2prf', 'hmacWithSHA512', '-iter', '100000'],
      ['-v2', 'des3'],
      ['-scrypt'],
      ['-scrypt', '-scrypt_N', '1024', '-scrypt_r', '8', '-scrypt_p', '2'],
    ];
    for (const way of ways) {
      for (const form of ['PEM', 'DER']) {
        const out = ['-outform', form, '-out', 'out', '-passout', `pass:${passphrase}`];
        await workshop.run('openssl', ['pkcs8', '-topk8', '-in', 'pkcs8.pem', ...way, ...out]);
        await expectRead('out', key.publicKey, passphrase);
        const file = await workshop.read('out');
        expect(() => parsePrivateKey(file)).toThrow(expect.objectContaining({ code: 'passphrase-needed' }));
      }
    }
  });

  test('PBES1 is refused', async () => {
    await workshop.write('pkcs8.pem', pem(sampleKeys['ssh-rsa'] as unknown as SoftwareKey));
    const out = ['-out', 'out', '-passout', `pass:${passphrase}`];
    await workshop.run('openssl', ['pkcs8', '-topk8', '-in', 'pkcs8.pem', '-v1', 'PBE-SHA1-3DES', ...out]);
    const file = await workshop.read('out');
    expect(() => parsePrivateKey(file, bytes(passphrase))).toThrow(
      expect.objectContaining({ code: 'unsupported-algorithm' }),
    );
  });

  test.each(['aes128', 'aes192', 'aes256', 'des3'])('the old PEM encryption with %s', async (cipher) => {
    for (const type of ['ssh-rsa', 'ecdsa-sha2-nistp384'] as const) {
      const key = sampleKeys[type] as unknown as SoftwareKey;
      await workshop.write('pkcs8.pem', pem(key));
      const program = type === 'ssh-rsa' ? ['rsa', '-traditional'] : ['ec'];
      const out = ['-out', 'out', '-passout', `pass:${passphrase}`];
      await workshop.run('openssl', [...program, '-in', 'pkcs8.pem', `-${cipher}`, ...out]);
      expect(await workshop.readText('out')).toContain('Proc-Type: 4,ENCRYPTED');
      await expectRead('out', key.publicKey, passphrase);
      const file = await workshop.read('out');
      expect(() => parsePrivateKey(file, bytes('wrong'))).toThrow(
        expect.objectContaining({ code: 'wrong-passphrase' }),
      );
    }
  });

  test('openssl ecparam puts a block in front, and that is no hindrance', async () => {
    const text = await workshop.run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey']);
    expect(text).toContain('EC PARAMETERS');
    expect(parseSoftwareKey(bytes(text)).publicKey.type).toBe('ecdsa-sha2-nistp256');
  });

  test.each(madeKinds.slice(1))('ssh-keygen -m PEM and PKCS8 of %s %s', async (type, bits) => {
    const blob = parsePublicKeyLine(await workshop.readText(`${nameOf(type, bits)}.pub`)).blob;
    for (const format of ['PEM', 'PKCS8']) {
      for (const secret of ['', passphrase]) {
        await workshop.write('converted', await workshop.read(nameOf(type, bits)));
        await workshop.keygen('-q', '-p', '-m', format, '-P', '', '-N', secret, '-f', 'converted');
        const file = await workshop.read('converted');
        const key = parseSoftwareKey(file, secret === '' ? undefined : bytes(secret));
        expect(encodePublicKey(key.publicKey)).toEqual(blob);
      }
    }
  });
});
