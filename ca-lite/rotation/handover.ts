/**
 * How a CA that is serving gets the next CA key. It forgot its passphrase after the start, so that nobody who takes the process over can
 * open what it does not need, the root key above all. `rotate start`, which has the passphrase, therefore leaves the new key once more,
 * beside the file that starts read, encrypted under what only a holder of the token key can derive; the server takes it and removes it.
 */
import { type KeyObject, hkdfSync } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { CaLayout, RotatedSecretName } from '../directory/layout.ts';
import { readSecret, writeSecret } from '../directory/secrets.ts';

const PURPOSE = 'countersign: handover of a CA key';

/** 256 bits: bcrypt has nothing to slow down here. */
const KDF_ROUNDS = 1;

export interface Handover {
  give(name: RotatedSecretName, key: KeyObject): Promise<void>;
  /** Once. @throws SecretError `secret-missing` when nothing was left, or when it was taken before */
  take(name: RotatedSecretName): Promise<KeyObject>;
  /** When nobody will take it any more. */
  drop(name: RotatedSecretName): Promise<void>;
}

/** @param tokenKey which every process of this CA has */
export function openHandover(layout: CaLayout, tokenKey: KeyObject): Handover {
  const input = tokenKey.export({ format: 'der', type: 'pkcs8' });
  const passphrase = Buffer.from(Buffer.from(hkdfSync('sha256', input, '', PURPOSE, 32)).toString('hex'));
  input.fill(0);
  const drop = async (name: RotatedSecretName): Promise<void> => dropHandover(layout, name);
  return {
    give: async (name, key) => writeSecret(layout, `${name}.handover`, key, passphrase, KDF_ROUNDS),
    take: async (name) => {
      const key = await readSecret(layout, `${name}.handover`, passphrase);
      await drop(name);
      return key;
    },
    drop,
  };
}

export async function dropHandover(layout: CaLayout, name: RotatedSecretName): Promise<void> {
  await rm(layout.secret(`${name}.handover`), { force: true });
}
