/** The SSH CA keys, wherever they live: encrypted files, a YubiHSM, or a PKCS#11 token. Those that sign first, others as a rotation brings them. */
import type { KeyObject } from 'node:crypto';
import type { Logger } from 'pino';
import type { CertificateType } from '#openssh/certificate.ts';
import { CommandError } from '../command-error.ts';
import type { Config, SignerSettings } from '../config/config.ts';
import type { CaLayout, RotatedSecretName, SecretName } from '../directory/layout.ts';
import { SecretError, readSecret } from '../directory/secrets.ts';
import type { Handover } from '../rotation/handover.ts';
import { type KeyPlace, describePlace, formatKeyPlace } from '../rotation/key-place.ts';
import { FileSigner } from '../signer/file-signer.ts';
import type { Signer } from '../signer/signer.ts';
import type { DeviceLogSink } from '../yubihsm/audit-drain.ts';
import type { HsmEvent } from '../yubihsm/hsm-event.ts';

export interface SignerOptions {
  readonly layout: CaLayout;
  readonly settings: Config['signer'];
  /** Of key files; undefined when no file will be opened. Not used any more once it was wiped. */
  readonly passphrase: Uint8Array | undefined;
  /** Where key files come from after that. */
  readonly handover: Handover | undefined;
  /** Where the keys are that sign: what devices are opened with. */
  readonly places: Readonly<Record<CertificateType, KeyPlace>>;
  /** Where the audit log of a device goes; not read when not given. */
  readonly sink?: DeviceLogSink;
  /** Epoch seconds. */
  readonly now: () => bigint;
  readonly log: Logger;
}

/** Opens CA keys, now and later. @throws SecretError, HsmError, CommandError */
export type OpenKey = (place: KeyPlace) => Promise<Signer>;

/** What is opened is closed by `stack`. Devices are loaded only when they are configured. @throws HsmError, CommandError */
export async function openSigners(options: SignerOptions, stack: AsyncDisposableStack): Promise<OpenKey> {
  const { settings, places } = options;
  if (settings.type === 'file') return fileKeys(options);
  const opened = stack.use(await openDevices(settings, options));
  const first = new Map([
    [formatKeyPlace(places.user), opened.user],
    [formatKeyPlace(places.host), opened.host],
  ]);
  return async (place) => {
    const known = first.get(formatKeyPlace(place));
    first.delete(formatKeyPlace(place));
    return known ?? opened.open(place);
  };
}

interface Devices extends AsyncDisposable {
  readonly user: Signer;
  readonly host: Signer;
  readonly open: OpenKey;
}

async function openDevices(settings: SignerSettings, options: SignerOptions): Promise<Devices> {
  const { places, layout, now, log, sink } = options;
  const { directory } = layout;
  if (settings.type === 'pkcs11') {
    const { openPkcs11Signers } = await import('../pkcs11/signer-settings.ts');
    const named = { user_ca: expectKind(places.user, 'pkcs11'), host_ca: expectKind(places.host, 'pkcs11') };
    const signers = await openPkcs11Signers({ ...settings, ...named }, { directory });
    return asDevices(signers, async (place) => signers.open(expectKind(place, 'pkcs11')));
  }
  if (settings.type === 'file') throw new TypeError('key files are no device');
  const { openYubiHsmSigners } = await import('../yubihsm/signer-settings.ts');
  const report = (event: HsmEvent): void => tell(event, log);
  const named = { user_ca: expectKind(places.user, 'yubihsm'), host_ca: expectKind(places.host, 'yubihsm') };
  const signers = await openYubiHsmSigners(
    { ...settings, ...named },
    { directory, report, nowSeconds: () => Number(now()), ...(sink !== undefined && { sink }) },
  );
  return asDevices(signers, async (place) => signers.open(expectKind(place, 'yubihsm')));
}

function asDevices(signers: AsyncDisposable & { user: Signer; host: Signer }, open: OpenKey): Devices {
  const { user, host } = signers;
  return { user, host, open, [Symbol.asyncDispose]: async () => signers[Symbol.asyncDispose]() };
}

/** Without its kind, as the configuration names it. @throws CommandError when ca.toml is about another place than the record of CA keys */
function expectKind<Kind extends KeyPlace['kind']>(
  place: KeyPlace,
  kind: Kind,
): Omit<Extract<KeyPlace, { kind: Kind }>, 'kind'> {
  if (place.kind === kind) {
    const { kind: _kind, ...rest } = place as Extract<KeyPlace, { kind: Kind }>;
    return rest;
  }
  throw new CommandError(
    `A CA key is ${describePlace(place)}, as the record of CA keys says, and ca.toml has signer.type = "${kind === 'file' ? 'file' : kind}". ` +
      `See the record with: countersign-ca rotate status`,
  );
}

function fileKeys({ layout, passphrase, handover }: SignerOptions): OpenKey {
  return async (place) => {
    const { secret } = expectKind(place, 'file');
    return new FileSigner(await readKeyFile(secret));
  };

  async function readKeyFile(secret: SecretName): Promise<KeyObject> {
    const wiped = passphrase?.every((byte) => byte === 0) ?? true;
    if (passphrase === undefined || wiped) {
      if (handover === undefined) throw new SecretError('wrong-passphrase', 'There is no passphrase.');
      return handover.take(secret as RotatedSecretName);
    }
    const key = await readSecret(layout, secret, passphrase);
    await handover?.drop(secret as RotatedSecretName); // left when no server ran
    return key;
  }
}

function tell(event: HsmEvent, log: Logger): void {
  switch (event.kind) {
    case 'device-ready':
      return log.info({ device: event.device, firmware: event.info.firmware.join('.') }, 'the HSM is ready');
    case 'log-drained':
      return log.debug({ device: event.device, entries: event.entries }, 'the audit log of the HSM was read');
    case 'warning':
      return log.warn({ device: event.device }, event.warning);
    case 'device-lost':
    case 'log-alarm':
      return log.error({ device: event.device, err: event.error }, `HSM: ${event.kind}`);
  }
}
