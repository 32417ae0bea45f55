/**
 * The CA's signer on YubiHSM devices, in both ways: plain (Ed25519, ECDSA, RSA) and under an SSH template (RSA).
 *
 * The keys are known before the first signature: from the configuration, or read when the signer is opened. Each device
 * that is opened, also later, must hold exactly them. Every signature is verified with the public key before it leaves.
 *
 * Refused on purpose: a template signature whose certificate the template would not take under every reading of it.
 */
import type { SignatureAlgorithm } from '#openssh/key-type.ts';
import { encodePublicKey, type PublicKey } from '#openssh/public-key.ts';
import { decodeSignature, type Signature, verifySignature } from '#openssh/signature.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type Signer, SignerError, type SignOptions } from '../signer/signer.ts';
import type { KeyKind } from './algorithms.ts';
import { keyKinds } from './algorithms.ts';
import { getPublicKey } from './commands/asymmetric.ts';
import { compareFirmware, type DeviceInfo } from './commands/device.ts';
import {
  sshCertificateOverhead,
  signSshCertificate,
  type TemplateSignatureAlgorithm,
} from './commands/ssh-certificate.ts';
import { getTemplate } from './commands/template.ts';
import { DevicePool, type DevicePoolOptions } from './device-pool.ts';
import type { DeviceSettings } from './device-worker.ts';
import { HsmError } from './errors.ts';
import { safeDataOldFirmware } from './frame.ts';
import { plainSignature, plainSignCommand } from './plain-signature.ts';
import { defaultSignatureAlgorithm, sshPublicKey } from './public-key.ts';
import { sameBytes } from './scp03.ts';
import { openSession, type Session } from './session.ts';
import { toSignerError } from './signer-error.ts';
import { decodeSshTemplate, type SshTemplate } from './ssh-template.ts';
import { timestampFor } from './template-check.ts';
import type { TimestampKey } from './timestamp-key.ts';

/** A CA key in the devices. */
export interface HsmKeySettings {
  keyId: number;
  /** What the key must be; a device with another one gets no work. Read from the first device when not given. */
  publicKey?: PublicKey;
  /** Only of RSA keys; `rsa-sha2-512` when not given. */
  algorithm?: TemplateSignatureAlgorithm;
  /** Signs under this template; plainly when not given. */
  template?: { templateId: number; timestampKey: TimestampKey; maxBackdateSeconds?: number };
}

/** What {@link openHsm} needs. */
export interface HsmOptions extends Omit<DevicePoolOptions, 'check'> {
  keys: readonly HsmKeySettings[];
  /** Seconds since 1970, for template signatures. */
  nowSeconds: () => number;
}

/** Devices with their CA keys. Disposing closes all sessions; the signers end with it. */
export interface Hsm extends AsyncDisposable {
  readonly pool: DevicePool;
  /** The signer of a key that was named when opening; TypeError for another one. */
  signer(keyId: number): Signer;
}

interface KnownKey {
  settings: HsmKeySettings;
  kind: KeyKind;
  publicKey: PublicKey;
  algorithm: SignatureAlgorithm;
  template?: { bytes: Uint8Array; content: SshTemplate };
}

/** A certificate starts at most this long before the true time, when the settings do not say otherwise. */
const defaultMaxBackdateSeconds = 120;

/**
 * Opens the devices. Reads keys and templates from the first device that answers; throws {@link HsmError} when none
 * does, when a key is not the expected one, or when a template does not fit its timestamp key.
 */
export async function openHsm(options: HsmOptions): Promise<Hsm> {
  const known = await readKeys(options);
  const pool = new DevicePool({ ...options, check: (session, info) => checkDevice(session, info, known, options) });
  const signers = new Map(known.map((key) => [key.settings.keyId, hsmSigner(pool, key, options.nowSeconds)]));
  return {
    pool,
    signer: (keyId) => {
      const signer = signers.get(keyId);
      if (signer === undefined) throw new TypeError(`the key ${keyId} was not named when the devices were opened`);
      return signer;
    },
    [Symbol.asyncDispose]: async () => {
      await pool[Symbol.asyncDispose]();
      for (const { template } of options.keys) await template?.timestampKey[Symbol.asyncDispose]();
    },
  };
}

async function readKeys(options: HsmOptions): Promise<KnownKey[]> {
  const failures: unknown[] = [];
  for (const device of options.devices) {
    try {
      return await readKeysFrom(device, options.keys);
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}

async function readKeysFrom(device: DeviceSettings, keys: readonly HsmKeySettings[]): Promise<KnownKey[]> {
  await using session = await openSession(device);
  const known: KnownKey[] = [];
  for (const settings of keys) known.push(await readKey(session, settings));
  return known;
}

async function readKey(session: Session, settings: HsmKeySettings): Promise<KnownKey> {
  const raw = await session.execute(getPublicKey(settings.keyId));
  const publicKey = sshPublicKey(raw);
  if (settings.publicKey && !sameKey(publicKey, settings.publicKey)) throw wrongKey(settings.keyId);
  const isRsa = keyKinds[raw.kind].family === 'rsa';
  const algorithm = (isRsa ? settings.algorithm : undefined) ?? defaultSignatureAlgorithm(raw.kind);
  const key = { settings, kind: raw.kind, publicKey, algorithm };
  if (settings.template === undefined) return key;
  if (!isRsa)
    throw new HsmError('bad-input', `key ${settings.keyId}: the device signs under a template with RSA keys only`);
  const bytes = await session.execute(getTemplate(settings.template.templateId));
  const content = decodeSshTemplate(bytes);
  if (!sameBytes(content.timestampModulus, settings.template.timestampKey.modulus)) {
    throw new HsmError(
      'key-mismatch',
      `template ${settings.template.templateId} names another timestamp key than ours`,
    );
  }
  return { ...key, template: { bytes, content } };
}

/** Admits a device only when it holds the very keys and templates; warns of firmware that leaks ECDSA keys. */
async function checkDevice(
  session: Session,
  info: DeviceInfo,
  known: readonly KnownKey[],
  { report }: HsmOptions,
): Promise<void> {
  for (const key of known) {
    const found = sshPublicKey(await session.execute(getPublicKey(key.settings.keyId)));
    if (!sameKey(found, key.publicKey)) throw wrongKey(key.settings.keyId);
    if (key.template === undefined) continue;
    const template = await session.execute(getTemplate(key.settings.template!.templateId));
    if (!sameBytes(template, key.template.bytes)) {
      throw new HsmError('key-mismatch', `the device's template ${key.settings.template!.templateId} is another one`);
    }
  }
  const warning = firmwareWarning(
    info,
    known.map(({ kind }) => kind),
  );
  if (warning) report?.({ kind: 'warning', device: String(info.serial), warning });
}

/** Firmware before 2.4 leaks ECDSA keys to somebody who holds the device in his hands (YSA-2024-03). */
export function firmwareWarning(info: DeviceInfo, kinds: readonly KeyKind[]): string | undefined {
  const ecdsa = kinds.some((kind) => keyKinds[kind].family === 'ecdsa');
  if (!ecdsa || compareFirmware(info.firmware, [2, 4]) >= 0) return undefined;
  return `firmware ${info.firmware.join('.')} lets somebody who holds the device recover ECDSA keys (YSA-2024-03): use Ed25519 or RSA, or a device with firmware 2.4 or newer`;
}

function hsmSigner(pool: DevicePool, key: KnownKey, nowSeconds: () => number): Signer {
  const make = key.template ? templateSignature : plainlySigned;
  return {
    publicKey: key.publicKey,
    algorithm: key.algorithm,
    async sign(data: Uint8Array, options: SignOptions): Promise<Signature> {
      try {
        const signature = await make({ pool, key, nowSeconds, data, options });
        if (signature.algorithm !== key.algorithm || !verifySignature(key.publicKey, data, signature)) throw invalid();
        return signature;
      } catch (error) {
        throw toSignerError(error, options.signal);
      }
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

interface Signing {
  pool: DevicePool;
  key: KnownKey;
  nowSeconds: () => number;
  data: Uint8Array;
  options: SignOptions;
}

async function plainlySigned({ pool, key, data, options }: Signing): Promise<Signature> {
  const { kind, algorithm, settings } = key;
  if (kind === 'ed25519') checkLength(pool, data.length + 2);
  const answer = await pool.execute(plainSignCommand(settings.keyId, kind, algorithm, data), options);
  return plainSignature(kind, algorithm, answer);
}

async function templateSignature({ pool, key, nowSeconds, data, options }: Signing): Promise<Signature> {
  const { keyId, template: settings } = key.settings;
  const { templateId, timestampKey, maxBackdateSeconds = defaultMaxBackdateSeconds } = settings!;
  checkLength(pool, data.length + sshCertificateOverhead);
  const timestampSeconds = timestampFor(data, {
    template: key.template!.content,
    caKeyId: keyId,
    caKey: key.publicKey,
    nowSeconds: nowSeconds(),
    maxBackdateSeconds,
  });
  const timestampSignature = await timestampKey.sign(data, timestampSeconds, options);
  const algorithm = key.algorithm as TemplateSignatureAlgorithm;
  const request = { keyId, templateId, algorithm, timestampSeconds, timestampSignature, tbs: data };
  const blob = await pool.execute(signSshCertificate(request), options);
  return decodeBlob(blob);
}

function decodeBlob(blob: Uint8Array): Signature {
  try {
    return decodeSignature('ssh-rsa', blob);
  } catch (error) {
    if (error instanceof FormatError) throw invalid();
    throw error;
  }
}

/** Refuses what a device with old firmware cannot take, before it costs a place in the queue. */
function checkLength(pool: DevicePool, length: number): void {
  const old = pool.devices.some(({ info }) => info && compareFirmware(info.firmware, [2, 4]) < 0);
  if (old && length > safeDataOldFirmware) {
    throw new HsmError(
      'message-too-long',
      `firmware before 2.4 takes ${safeDataOldFirmware} bytes; this needs ${length}`,
    );
  }
}

function sameKey(a: PublicKey, b: PublicKey): boolean {
  return sameBytes(encodePublicKey(a), encodePublicKey(b));
}

function wrongKey(keyId: number): HsmError {
  return new HsmError('key-mismatch', `the device's key ${keyId} is not the CA key that the configuration names`);
}

function invalid(): SignerError {
  return new SignerError('signature-invalid', "the device's signature does not verify with the CA key: it was dropped");
}
