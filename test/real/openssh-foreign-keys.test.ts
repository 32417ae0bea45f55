/** Key files of PuTTY, and public keys in the formats that `ssh-keygen -e` and `puttygen` write. */
import { createPrivateKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPrivateKey, readPublicKey } from '#openssh/foreign-key.ts';
import { encodePrivateKey } from '#openssh/private-key.ts';
import { encodePublicKey, parsePublicKeyLine, publicKeyFromObject } from '#openssh/public-key.ts';
import { bytes } from '#test/unit/openssh/samples.ts';
import { Workshop, madeKinds, nameOf } from './openssh-workshop.ts';

const passphrase = 'geheim';
let workshop: Workshop;

beforeAll(async () => {
  workshop = await Workshop.open();
  for (const [type, bits] of madeKinds) await workshop.newKey(nameOf(type, bits), type, bits);
  await workshop.write('passphrase', passphrase);
  await workshop.write('none', '');
});
afterAll(async () => {
  await workshop[Symbol.asyncDispose]();
});

async function puttygen(name: string, version: 2 | 3, secretFile: 'none' | 'passphrase'): Promise<Uint8Array> {
  const out = ['-o', 'out.ppk', '--ppk-param', `version=${version}`, '--new-passphrase', secretFile];
  await workshop.run('puttygen', [name, '-O', 'private', ...out]);
  return workshop.read('out.ppk');
}

describe.each(madeKinds)('%s %s', (type, bits) => {
  const name = nameOf(type, bits);
  const blob = async (): Promise<Uint8Array> => parsePublicKeyLine(await workshop.readText(`${name}.pub`)).blob;

  test.each([2, 3] as const)('plain .ppk of version %i', async (version) => {
    const file = await puttygen(name, version, 'none');
    const key = await readPrivateKey(file);
    expect(key.comment).toBe('a comment');
    expect(encodePublicKey(key.publicKey)).toEqual(await blob());
    expect(encodePublicKey(readPublicKey(file).key)).toEqual(await blob());
  });

  test('encrypted .ppk of version 2', async () => {
    const file = await puttygen(name, 2, 'passphrase');
    expect(encodePublicKey((await readPrivateKey(file, bytes(passphrase))).publicKey)).toEqual(await blob());
    await expect(readPrivateKey(file)).rejects.toMatchObject({ code: 'passphrase-needed' });
    await expect(readPrivateKey(file, bytes('falsch'))).rejects.toMatchObject({ code: 'wrong-passphrase' });
  });

  test('encrypted .ppk of version 3 is refused, and says so', async () => {
    const file = await puttygen(name, 3, 'passphrase');
    await expect(readPrivateKey(file)).rejects.toMatchObject({ code: 'passphrase-needed' });
    await expect(readPrivateKey(file, bytes(passphrase))).rejects.toMatchObject({ code: 'unsupported-algorithm' });
  });

  test('a public key in RFC 4716 form, of ssh-keygen and of puttygen', async () => {
    const ofKeygen = readPublicKey(bytes(await workshop.keygen('-e', '-f', `${name}.pub`)));
    expect(encodePublicKey(ofKeygen.key)).toEqual(await blob());
    expect(ofKeygen.comment).toMatch(/^\d+-bit (ED25519|ECDSA|RSA), converted by /);
    await workshop.run('puttygen', [name, '-O', 'public', '-o', 'out.pub']);
    const ofPuttygen = readPublicKey(await workshop.read('out.pub'));
    expect(encodePublicKey(ofPuttygen.key)).toEqual(await blob());
    expect(ofPuttygen.comment).toBe('a comment');
  });

  test('OpenSSH formats come through the same door', async () => {
    const key = await readPrivateKey(await workshop.read(name));
    expect(encodePublicKey(key.publicKey)).toEqual(await blob());
    expect(encodePublicKey(readPublicKey(await workshop.read(`${name}.pub`)).key)).toEqual(await blob());
  });
});

test.each(madeKinds.slice(1))('a public key of %s %s in PEM', async (type, bits) => {
  const name = nameOf(type, bits);
  const { blob } = parsePublicKeyLine(await workshop.readText(`${name}.pub`));
  for (const format of ['PKCS8', 'PEM']) {
    const file = bytes(await workshop.keygen('-e', '-m', format, '-f', `${name}.pub`));
    expect(encodePublicKey(readPublicKey(file).key)).toEqual(blob);
  }
});

test.each([
  ['a zero at the start', [0, 1]],
  ['zeros at the start', [0, 0, 0x80]],
  ['a zero at the end', [1]],
])('an Ed25519 key with %s keeps all its bytes in a .ppk', async (_, start) => {
  const seed = Uint8Array.from({ length: 32 }, (__, index) => start[index] ?? (index === 31 ? 0 : index));
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  await workshop.write('given', encodePrivateKey(privateKey, { comment: 'a comment', random: { checkInt: 1 } }));
  const key = await readPrivateKey(await puttygen('given', 2, 'passphrase'), bytes(passphrase));
  expect(key).toMatchObject({ publicKey: publicKeyFromObject(privateKey), comment: 'a comment' });
  expect(key.privateKey?.export({ format: 'jwk' })).toEqual(privateKey.export({ format: 'jwk' }));
});

test('a .ppk whose private part was changed is refused', async () => {
  const file = Buffer.from(await puttygen('ed25519', 2, 'none')).toString();
  const changed = file.replace(/(Private-Lines: 1\r?\n)(.{8})./, (_, head: string, kept: string) => `${head}${kept}#`);
  expect(changed).not.toBe(file);
  await expect(readPrivateKey(bytes(changed))).rejects.toMatchObject({ code: 'bad-value' });
  const swapped = file.replace(/(Private-Lines: 1\r?\n).{10}/, '$1AAAAIAAAAA');
  await expect(readPrivateKey(bytes(swapped))).rejects.toMatchObject({ code: 'bad-value' });
});
