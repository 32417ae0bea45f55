/** The SSH CA keys that `init` makes, or takes from files that the operator brings. */
import { type KeyObject, generateKeyPair } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { FormatError } from '#openssh/format-error.ts';
import { parseSoftwareKey } from '#openssh/private-key.ts';
import { publicKeyFromObject, keyBits } from '#openssh/public-key.ts';
import { CommandError } from '../command-error.ts';
import type { CaKeyType } from './ca-key-type.ts';

const generate = promisify(generateKeyPair);

const curves = { 'ecdsa-p256': 'P-256', 'ecdsa-p384': 'P-384', 'ecdsa-p521': 'P-521' } as const;

export async function generateCaKey(type: CaKeyType): Promise<KeyObject> {
  if (type === 'ed25519') return (await generate('ed25519')).privateKey;
  if (type === 'rsa-3072' || type === 'rsa-4096') {
    return (await generate('rsa', { modulusLength: type === 'rsa-3072' ? 3072 : 4096, publicExponent: 65_537 }))
      .privateKey;
  }
  return (await generate('ec', { namedCurve: curves[type] })).privateKey;
}

/**
 * A CA key that exists already, in any format that `openssh/` reads.
 * @param passphrase tried for an encrypted file
 * @throws CommandError
 */
export async function importCaKey(path: string, passphrase: Uint8Array): Promise<KeyObject> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new CommandError(`The key ${path} cannot be read.`, { cause });
  });
  try {
    const { privateKey } = parseSoftwareKey(bytes, passphrase);
    const key = publicKeyFromObject(privateKey);
    if (key.type === 'ssh-rsa' && keyBits(key) < 3072)
      throw new CommandError(`${path} is an RSA key of ${keyBits(key)} bits; a CA key needs 3072 or more.`);
    return privateKey;
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    const hint =
      cause.code === 'wrong-passphrase' ? ' An encrypted key must have the passphrase that the CA directory gets.' : '';
    throw new CommandError(`${path} cannot be used as a CA key: ${cause.message}.${hint}`, { cause });
  }
}
