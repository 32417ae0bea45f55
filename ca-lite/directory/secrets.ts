/** Reading and writing the private keys of a CA directory: OpenSSH files (`ssh-keygen -p` can change the passphrase), 0600. */
import { type KeyObject, randomBytes, randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FormatError } from '#openssh/format-error.ts';
import { encodePrivateKey, parseSoftwareKey } from '#openssh/private-key.ts';
import { findModeFault, writeNewFile } from '../files/write-new.ts';
import type { CaLayout, SecretName } from './layout.ts';

/** bcrypt rounds, as many as ssh-keygen takes by default: about a quarter of a second a key. */
const KDF_ROUNDS = 16;

export class SecretError extends Error {
  override readonly name = 'SecretError';
  readonly code: 'secret-missing' | 'secret-exposed' | 'wrong-passphrase' | 'secret-damaged';

  constructor(code: SecretError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Encrypts and stores a key that is not there yet. */
export async function writeSecret(
  layout: CaLayout,
  name: SecretName,
  key: KeyObject,
  passphrase: Uint8Array,
  rounds = KDF_ROUNDS,
): Promise<void> {
  const random = { checkInt: randomInt(2 ** 32), salt: randomBytes(16) };
  const text = encodePrivateKey(key, { passphrase, rounds, random, comment: `countersign ${name}` });
  await writeNewFile(layout.secret(name), text, 0o600);
}

/** @throws SecretError */
export async function readSecret(layout: CaLayout, name: SecretName, passphrase: Uint8Array): Promise<KeyObject> {
  const path = layout.secret(name);
  const text = await readSecretFile(path);
  try {
    return parseSoftwareKey(text, passphrase).privateKey;
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    if (cause.code === 'wrong-passphrase') {
      throw new SecretError(
        'wrong-passphrase',
        `The passphrase does not open ${path}. Give the one that was set at init.`,
        { cause },
      );
    }
    throw new SecretError(
      'secret-damaged',
      `${path} is not a private key that can be read here. Restore it from a backup.`,
      { cause },
    );
  }
}

async function readSecretFile(path: string): Promise<Uint8Array> {
  try {
    const fault = await findModeFault(path);
    if (fault !== undefined) throw new SecretError('secret-exposed', `The key is not used, since ${fault}.`);
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof SecretError) throw cause;
    throw new SecretError(
      'secret-missing',
      `${path} cannot be read. Is this a CA directory, and may this user read it?`,
      { cause },
    );
  }
}
