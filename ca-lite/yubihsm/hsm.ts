/**
 * Opens YubiHSM devices with the CA keys in them: reads the keys, watches that each device holds exactly them, and gives
 * out a signer for each.
 *
 * The keys are known before the first signature: from the configuration, or read from the first device that answers. Each
 * device that is opened, also later and again, must hold exactly them, or it gets no work.
 */
import type { SignatureAlgorithm } from '#openssh/key-type.ts';
import { encodePublicKey, type PublicKey } from '#openssh/public-key.ts';
import type { Signer } from '../signer/signer.ts';
import { type KeyKind, keyKinds } from './algorithms.ts';
import { getPublicKey } from './commands/asymmetric.ts';
import type { Command } from './commands/command.ts';
import type { DeviceInfo } from './commands/device.ts';
import type { TemplateSignatureAlgorithm } from './commands/ssh-certificate.ts';
import { getTemplate } from './commands/template.ts';
import { DevicePool, type DevicePoolOptions } from './device-pool.ts';
import type { DeviceSettings } from './device-worker.ts';
import { HsmError } from './errors.ts';
import { firmwareWarning } from './firmware-warning.ts';
import { defaultSignatureAlgorithm, sshPublicKey } from './public-key.ts';
import { sameBytes } from './scp03.ts';
import { openSession, type Session } from './session.ts';
import { hsmSigner } from './signer.ts';
import { decodeSshTemplate, type SshTemplate } from './ssh-template.ts';
import type { TimestampKey } from './timestamp-key.ts';

/** A CA key in the devices. */
export interface HsmKeySettings {
  keyId: number;
  /** What the key must be; read from the first device when not given. */
  publicKey?: PublicKey;
  /** Only of RSA keys; `rsa-sha2-512` when not given. */
  algorithm?: TemplateSignatureAlgorithm;
  /** Signs under this template; plainly when not given. */
  template?: HsmTemplateSettings;
}

/** The template that a key signs under. */
export interface HsmTemplateSettings {
  templateId: number;
  timestampKey: TimestampKey;
  /** How long before the true time a certificate may start, counting the template's not-before offset; 120 s when not given. */
  maxBackdateSeconds?: number;
}

/** What {@link openHsm} needs. */
export interface HsmOptions extends Omit<DevicePoolOptions, 'check'> {
  keys: readonly HsmKeySettings[];
  /** Seconds since 1970, for template signatures. */
  nowSeconds: () => number;
}

/** Devices with their CA keys. Disposing closes all sessions and the timestamp keys; the signers end with it. */
export interface Hsm extends AsyncDisposable {
  readonly pool: DevicePool;
  /** The signer of a key that was named when opening; TypeError for another one. Disposing it lets the devices lose the key. */
  signer(keyId: number): Signer;
  /** Opens one more key while the devices are at work. Throws {@link HsmError} as {@link openHsm} does. */
  open(settings: HsmKeySettings): Promise<Signer>;
}

/** A CA key as it was found. */
export interface KnownKey {
  keyId: number;
  kind: KeyKind;
  publicKey: PublicKey;
  algorithm: SignatureAlgorithm;
  template?: HsmTemplateSettings & { bytes: Uint8Array; content: SshTemplate };
}

/**
 * Opens the devices. Throws {@link HsmError} when none answers, when a key is not the expected one, or when a template
 * does not fit its timestamp key.
 */
export async function openHsm(options: HsmOptions): Promise<Hsm> {
  const known = new Set(await readKeys(options));
  const timestampKeys = new Set([...known].flatMap(({ template }) => template?.timestampKey ?? []));
  const check = (session: Session, info: DeviceInfo): Promise<void> => checkDevice(session, info, known, options);
  const pool = new DevicePool({ ...options, check });
  const signerOf = (key: KnownKey): Signer => ({
    ...hsmSigner(pool, key, options.nowSeconds),
    [Symbol.asyncDispose]: async () => void known.delete(key),
  });
  return {
    pool,
    signer: (keyId) => {
      const key = [...known].find((one) => one.keyId === keyId);
      if (key === undefined) throw new TypeError(`the key ${keyId} was not named when the devices were opened`);
      return signerOf(key);
    },
    open: async (settings) => {
      const key = await readKey((command) => pool.execute(command, { priority: 'host' }), settings);
      known.add(key);
      if (key.template !== undefined) timestampKeys.add(key.template.timestampKey);
      return signerOf(key);
    },
    [Symbol.asyncDispose]: async () => {
      await pool[Symbol.asyncDispose]();
      for (const timestampKey of timestampKeys) await timestampKey[Symbol.asyncDispose]();
    },
  };
}

async function readKeys({ devices, keys }: HsmOptions): Promise<KnownKey[]> {
  const failures: unknown[] = [];
  for (const device of devices) {
    try {
      return await readKeysFrom(device, keys);
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}

async function readKeysFrom(device: DeviceSettings, keys: readonly HsmKeySettings[]): Promise<KnownKey[]> {
  await using session = await openSession(device);
  const known: KnownKey[] = [];
  for (const settings of keys) known.push(await readKey((command) => session.execute(command), settings));
  return known;
}

type Execute = <T>(command: Command<T>) => Promise<T>;

async function readKey(execute: Execute, settings: HsmKeySettings): Promise<KnownKey> {
  const { keyId, template } = settings;
  const raw = await execute(getPublicKey(keyId));
  const publicKey = sshPublicKey(raw);
  if (settings.publicKey && !sameKey(publicKey, settings.publicKey)) throw wrongKey(keyId);
  const isRsa = keyKinds[raw.kind].family === 'rsa';
  const algorithm = (isRsa ? settings.algorithm : undefined) ?? defaultSignatureAlgorithm(raw.kind);
  const key = { keyId, kind: raw.kind, publicKey, algorithm };
  if (template === undefined) return key;
  if (!isRsa) throw new HsmError('bad-input', `key ${keyId}: the device signs under a template with RSA keys only`);
  return { ...key, template: { ...template, ...(await readTemplate(execute, template)) } };
}

async function readTemplate(
  execute: Execute,
  { templateId, timestampKey }: HsmTemplateSettings,
): Promise<{ bytes: Uint8Array; content: SshTemplate }> {
  const bytes = await execute(getTemplate(templateId));
  const content = decodeSshTemplate(bytes);
  if (!sameBytes(content.timestampModulus, timestampKey.modulus)) {
    throw new HsmError('key-mismatch', `template ${templateId} names another timestamp key than the configuration`);
  }
  return { bytes, content };
}

async function checkDevice(
  session: Session,
  info: DeviceInfo,
  known: ReadonlySet<KnownKey>,
  { report }: HsmOptions,
): Promise<void> {
  for (const { keyId, publicKey, template } of known) {
    if (!sameKey(sshPublicKey(await session.execute(getPublicKey(keyId))), publicKey)) throw wrongKey(keyId);
    if (template === undefined) continue;
    const found = await session.execute(getTemplate(template.templateId));
    if (!sameBytes(found, template.bytes)) {
      throw new HsmError('key-mismatch', `the device's template ${template.templateId} is not the one of the others`);
    }
  }
  const kinds = [...known].map(({ kind }) => kind);
  const warning = firmwareWarning(info, kinds);
  if (warning) report?.({ kind: 'warning', device: String(info.serial), warning });
}

function sameKey(a: PublicKey, b: PublicKey): boolean {
  return sameBytes(encodePublicKey(a), encodePublicKey(b));
}

function wrongKey(keyId: number): HsmError {
  return new HsmError('key-mismatch', `the device's key ${keyId} is not the CA key that the configuration names`);
}
