/**
 * The key that shall sign next: made in a file, or found in a device, where it must sign for the CA before anybody is told of it. What was
 * made is removed again when the rotation is not begun.
 */
import { rm } from 'node:fs/promises';
import pino from 'pino';
import type { CertificateType } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { type PublicKey, encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { CommandError } from '../command-error.ts';
import type { SignerSettings } from '../config/config.ts';
import type { CaLayout, RotatedSecretName } from '../directory/layout.ts';
import { readSecret, writeSecret } from '../directory/secrets.ts';
import { createChallengeKey } from '../enrol/challenge-key.ts';
import type { CaKeyType } from '../init/ca-key-type.ts';
import { generateCaKey } from '../init/ca-keys.ts';
import { type OpenKey, openSigners } from '../serve/open-signers.ts';
import { recordedSigner } from '../serve/recorded-signer.ts';
import { SignerError } from '../signer/signer.ts';
import type { CaKey, CaKeyRecord } from '../store/ca-key-decisions.ts';
import type { Store } from '../store/store.ts';
import { HsmError } from '../yubihsm/errors.ts';
import { currentKey } from './ca-keys.ts';
import { dropHandover, openHandover } from './handover.ts';
import { type KeyPlace, describePlace, firstPlace, formatKeyPlace, parseKeyPlace } from './key-place.ts';

export type NextKeyWish = { readonly kind: 'file'; readonly keyType: CaKeyType } | Exclude<KeyPlace, { kind: 'file' }>;

export interface NextKeyParts {
  readonly layout: CaLayout;
  readonly settings: SignerSettings;
  /** Of the key files. */
  readonly passphrase: Uint8Array;
  readonly keys: readonly CaKeyRecord[];
  readonly type: CertificateType;
  /** Where a trial of a device's key is written down: no signature of a CA key is without a record. */
  readonly store: Pick<Store, 'appendAudit'>;
}

/** Disposing removes what was made, unless it is kept. */
export interface NextKey extends AsyncDisposable {
  readonly key: CaKey;
  /** The key that signs now: it is put on record at the first rotation. */
  readonly current: CaKey;
  keep(): void;
}

/** Of a key that was withdrawn; what is in a device stays there. */
export async function removeKeyFile(layout: CaLayout, { secret }: CaKey): Promise<void> {
  const place = parseKeyPlace(secret);
  if (place?.kind !== 'file') return;
  await rm(layout.secret(place.secret), { force: true });
  await dropHandover(layout, place.secret as RotatedSecretName);
}

/** @throws CommandError, SecretError, HsmError */
export async function makeNextKey(wish: NextKeyWish, parts: NextKeyParts): Promise<NextKey> {
  return wish.kind === 'file' ? makeKeyFile(wish.keyType, parts) : findKey(wish, parts);
}

async function makeKeyFile(keyType: CaKeyType, parts: NextKeyParts): Promise<NextKey> {
  const { layout, passphrase, type } = parts;
  const place = placeOf(parts, type);
  if (place.kind !== 'file') throw new CommandError(`The ${type} CA key is ${describePlace(place)}, not in a file.`);
  // Opening it proves the passphrase: all secrets of a directory have the same one.
  const current = publicKeyFromObject(await readSecret(layout, place.secret, passphrase));
  const handover = openHandover(layout, await readSecret(layout, 'token', passphrase));
  const name: RotatedSecretName = `ssh_${type}_ca_${Date.now()}`;
  await using made = new AsyncDisposableStack();
  made.defer(async () => handover.drop(name));
  made.defer(async () => rm(layout.secret(name), { force: true }));
  const privateKey = await generateCaKey(keyType);
  await writeSecret(layout, name, privateKey, passphrase);
  await handover.give(name, privateKey);
  const key = keyAt(publicKeyFromObject(privateKey), { kind: 'file', secret: name });
  return nextKey(key, keyAt(current, place), made.move());
}

async function findKey(place: Exclude<KeyPlace, { kind: 'file' }>, parts: NextKeyParts): Promise<NextKey> {
  await using opened = new AsyncDisposableStack();
  const places = { host: placeOf(parts, 'host'), user: placeOf(parts, 'user') };
  const openKey = await openSigners(
    { ...parts, handover: undefined, places, now, log: pino({ level: 'silent' }) },
    opened,
  );
  const open: OpenKey = async (where) => recordedSigner(await openKey(where), parts.store, now);
  const keys = { host: await open(places.host), user: await open(places.user) };
  const found = await openProven(place, open);
  const key = keyAt(found, place);
  const names = [keys.host, keys.user].map(({ publicKey }) => keyAt(publicKey, place).fingerprint);
  if (names.includes(key.fingerprint)) throw new CommandError('This key signs already. Make a new one in the device.');
  return nextKey(key, keyAt(keys[parts.type].publicKey, places[parts.type]), new AsyncDisposableStack());
}

/** Signs something that nobody accepts: a certificate like that of a challenge key, which is thrown away. */
async function openProven(place: KeyPlace, open: OpenKey): Promise<PublicKey> {
  try {
    const signer = await open(place);
    await createChallengeKey(signer, now());
    return signer.publicKey;
  } catch (cause) {
    if (!(cause instanceof SignerError) && !(cause instanceof HsmError)) throw cause;
    throw new CommandError(
      `The CA cannot sign with ${describePlace(place)}: ${cause.message}. Nothing was changed. Check its number or label, and that the ` +
        `CA's own credentials may sign with it.`,
      { cause },
    );
  }
}

const now = (): bigint => BigInt(Math.floor(Date.now() / 1000));

function placeOf({ keys, settings }: NextKeyParts, type: CertificateType): KeyPlace {
  return parseKeyPlace(currentKey(keys, type)?.secret ?? '') ?? firstPlace(settings, type);
}

function keyAt(publicKey: PublicKey, place: KeyPlace): CaKey {
  const key = encodePublicKey(publicKey);
  return { key, fingerprint: fingerprintOf(key), secret: formatKeyPlace(place) };
}

function nextKey(key: CaKey, current: CaKey, made: AsyncDisposableStack): NextKey {
  return {
    key,
    current,
    keep: () => void made.move(),
    [Symbol.asyncDispose]: async () => made.disposeAsync(),
  };
}
