/** The `[signer]` section of the CA's configuration for a PKCS#11 token: its shape, and opening what it describes. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { PublicKey } from '#openssh/public-key.ts';
import type { Signer } from '../signer/signer.ts';
import { HsmError } from '../yubihsm/errors.ts';
import { preparePkcs11 } from './addon.ts';
import { tokenSigner } from './signer.ts';
import { Token } from './token.ts';
import type { Pkcs11Settings } from './signer-section.ts';

/** Both CA keys, ready to sign. Disposing logs out. */
export interface Pkcs11Signers extends AsyncDisposable {
  readonly user: Signer;
  readonly host: Signer;
  /** One more CA key, as `user_ca` and `host_ca` name theirs; throws {@link HsmError}. */
  open(key: Pkcs11Settings['user_ca']): Signer;
}

/** Opens the token of the configuration. Throws {@link HsmError}. */
export async function openPkcs11Signers(
  settings: Pkcs11Settings,
  options: { directory: string; publicKeys?: { user: PublicKey; host: PublicKey } },
): Promise<Pkcs11Signers> {
  await preparePkcs11();
  const token = new Token({
    module: settings.module,
    label: settings.token,
    pin: readPin(resolve(options.directory, settings.pin_file)),
    ...(settings.max_waiting !== undefined && { maxWaiting: settings.max_waiting }),
  });
  const signerOf = (key: Pkcs11Settings['user_ca'], publicKey: PublicKey | undefined): Signer =>
    tokenSigner(token, {
      label: key.label,
      id: key.id === undefined ? undefined : Buffer.from(key.id, 'hex'),
      ...(publicKey && { publicKey }),
      ...(settings.rsa_algorithm && { rsaAlgorithm: settings.rsa_algorithm }),
    });
  try {
    const user = signerOf(settings.user_ca, options.publicKeys?.user);
    const host = signerOf(settings.host_ca, options.publicKeys?.host);
    return {
      user,
      host,
      open: (key) => signerOf(key, undefined),
      [Symbol.asyncDispose]: () => token[Symbol.asyncDispose](),
    };
  } catch (error) {
    await token[Symbol.asyncDispose]();
    throw error;
  }
}

function readPin(file: string): string {
  try {
    const [line = ''] = readFileSync(file, 'utf8').split('\n', 1);
    if (line.trim() !== '') return line.trim();
  } catch (error) {
    throw new HsmError('bad-input', `${file} cannot be read: does it exist, and may this user read it?`, {
      cause: error,
    });
  }
  throw new HsmError('bad-input', `${file} is empty: it should hold the PIN of the token`);
}
