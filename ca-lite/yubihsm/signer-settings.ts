/**
 * The `[signer]` section of the CA's configuration for a YubiHSM: its shape, and opening what it describes.
 *
 * Paths are relative to the CA directory; passwords are in files that hold one line each.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey, type PublicKey } from '#openssh/public-key.ts';
import type { Signer } from '../signer/signer.ts';
import { AuditDrain, type DeviceLogSink } from './audit-drain.ts';
import { type Connector, openConnector } from './connector.ts';
import type { DevicePool } from './device-pool.ts';
import { HsmError } from './errors.ts';
import { openHsm } from './hsm.ts';
import type { HsmEvent } from './hsm-event.ts';
import type { WatchedKey } from './log-join.ts';
import { type AuthenticationKeys, keysFromPassword } from './scp03.ts';
import { objectIds } from './setup/plan.ts';
import { fileTimestampKey, openDeviceTimestampKey, parseTimestampKey, type TimestampKey } from './timestamp-key.ts';
import { SignatureLedger } from './signature-ledger.ts';
import type { YubiHsmSettings } from './signer-section.ts';

/** What opening needs beside the settings. */
export interface OpenOptions {
  /** The CA directory. */
  directory: string;
  /** What the CA keys must be; read from the device when not given. */
  publicKeys?: { user: PublicKey; host: PublicKey };
  /** Where the device's audit log goes; it is not read when not given. */
  sink?: DeviceLogSink;
  report?: (event: HsmEvent) => void;
  nowSeconds?: () => number;
}

/** Both CA keys, ready to sign. Disposing closes every session. */
export interface YubiHsmSigners extends AsyncDisposable {
  readonly user: Signer;
  readonly host: Signer;
  /** One more CA key, as `user_ca` and `host_ca` name theirs; throws {@link HsmError}. */
  open(key: YubiHsmSettings['user_ca']): Promise<Signer>;
  /** For metrics and health: devices, queue length, drain time. */
  readonly pool: DevicePool;
}

/** Opens the devices of the configuration. Throws {@link HsmError}. */
export async function openYubiHsmSigners(settings: YubiHsmSettings, options: OpenOptions): Promise<YubiHsmSigners> {
  const nowSeconds = options.nowSeconds ?? (() => Math.floor(Date.now() / 1000));
  const connectors = settings.connectors.map(openConnector);
  await using opened = new AsyncDisposableStack();
  for (const connector of connectors) opened.use(connector);
  const keys = await passwordKeys(options.directory, settings.password_file);
  const watched = watchedKeys(settings);
  const drainOf = await drains(settings, options, watched);
  const ledgers = new Map<string, SignatureLedger>();
  const devices = connectors.map((connector) => {
    const device = { connector, authKeyId: settings.auth_key ?? objectIds.signer, keys };
    if (drainOf === undefined) return device;
    const ledger = new SignatureLedger();
    ledgers.set(connector.name, ledger);
    return { ...device, ledger, drain: drainOf(connector, ledger) };
  });
  const ledgerOf = ({ name }: Connector): SignatureLedger | undefined =>
    settings.timestamp_connectors === undefined ? ledgers.get(name) : undefined;
  const { timestampKey, release } = await openTimestamp(settings, options.directory, nowSeconds, ledgerOf);
  opened.defer(release);
  if (timestampKey) opened.use(timestampKey);
  const hsm = await openHsm({
    devices,
    nowSeconds,
    keys: [
      caKey(settings.user_ca, settings, timestampKey, options.publicKeys?.user),
      caKey(settings.host_ca, settings, timestampKey, options.publicKeys?.host),
    ],
    ...(settings.max_waiting !== undefined && { maxWaiting: settings.max_waiting }),
    ...(options.report && { report: options.report }),
  });
  opened.use(hsm);
  const resources = opened.move();
  const [user, host] = [hsm.signer(settings.user_ca.key), hsm.signer(settings.host_ca.key)];
  watch(watched, settings.user_ca.key, user);
  watch(watched, settings.host_ca.key, host);
  return {
    user,
    host,
    open: async (key) => {
      const signer = await hsm.open(caKey(key, settings, timestampKey, undefined));
      watch(watched, key.key, signer);
      return signer;
    },
    pool: hsm.pool,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function caKey(
  { key, template }: YubiHsmSettings['user_ca'],
  settings: YubiHsmSettings,
  timestampKey: TimestampKey | undefined,
  publicKey: PublicKey | undefined,
): Parameters<typeof openHsm>[0]['keys'][number] {
  if (template !== undefined && timestampKey === undefined) {
    throw new HsmError(
      'bad-input',
      'a CA key with a template needs timestamp_key_file, or a timestamp key in a device',
    );
  }
  return {
    keyId: key,
    ...(publicKey && { publicKey }),
    ...(settings.rsa_algorithm && { algorithm: settings.rsa_algorithm }),
    ...(template !== undefined && timestampKey && { template: { templateId: template, timestampKey } }),
  };
}

async function openTimestamp(
  settings: YubiHsmSettings,
  directory: string,
  nowSeconds: () => number,
  ledgerOf: (connector: Connector) => SignatureLedger | undefined,
): Promise<{ timestampKey: TimestampKey | undefined; release: () => Promise<void> }> {
  const nothing = async (): Promise<void> => {};
  if (settings.timestamp_key_file !== undefined) {
    const pem = readSecret(directory, settings.timestamp_key_file).toString('utf8');
    return { timestampKey: fileTimestampKey(parseTimestampKey(pem), nowSeconds), release: nothing };
  }
  const { timestamp_password_file: file, timestamp_key: keyId = objectIds.timestamp } = settings;
  if (file === undefined) return { timestampKey: undefined, release: nothing };
  await using opened = new AsyncDisposableStack();
  const urls = settings.timestamp_connectors ?? settings.connectors;
  const connectors = urls.map((url) => opened.use(openConnector(url)));
  const authKeyId = settings.timestamp_auth_key ?? objectIds.timekeeper;
  const where = { connectors, authKeyId, keyId, ledgerOf, keys: await passwordKeys(directory, file) };
  const timestampKey = await openDeviceTimestampKey(where, nowSeconds);
  const resources = opened.move();
  return { timestampKey, release: async () => resources.disposeAsync() };
}

async function drains(
  settings: YubiHsmSettings,
  { directory, sink }: OpenOptions,
  watched: readonly WatchedKey[],
): Promise<((connector: Connector, ledger: SignatureLedger) => AuditDrain) | undefined> {
  if (sink === undefined || settings.auditor_password_file === undefined) return undefined;
  const keys = await passwordKeys(directory, settings.auditor_password_file);
  const authKeyId = settings.auditor_key ?? objectIds.auditor;
  return (connector, ledger) => new AuditDrain({ connector, authKeyId, keys, sink, join: { keys: watched, ledger } });
}

/** The keys of a device whose every signature must be one that this CA asked for, as the configuration names them. */
function watchedKeys({ user_ca, host_ca, ...settings }: YubiHsmSettings): WatchedKey[] {
  const keys = [user_ca, host_ca].map(({ key }): WatchedKey => ({ keyId: key, fingerprint: undefined }));
  const elsewhere = settings.timestamp_connectors !== undefined || settings.timestamp_password_file === undefined;
  if (elsewhere) return keys;
  return [...keys, { keyId: settings.timestamp_key ?? objectIds.timestamp, fingerprint: 'timestamp' }];
}

/** Notes which CA key it is that has this number, from now on. */
function watch(watched: WatchedKey[], keyId: number, { publicKey }: Signer): void {
  const fingerprint = fingerprintOf(encodePublicKey(publicKey));
  const known = watched.find((key) => key.keyId === keyId);
  if (known === undefined) watched.push({ keyId, fingerprint });
  else known.fingerprint = fingerprint;
}

async function passwordKeys(directory: string, file: string): Promise<AuthenticationKeys> {
  const [line = ''] = readSecret(directory, file).toString('utf8').split('\n');
  if (line.trim() === '') throw new HsmError('bad-input', `the password file ${file} is empty`);
  return keysFromPassword(line.trim());
}

function readSecret(directory: string, file: string): Buffer {
  try {
    return readFileSync(resolve(directory, file));
  } catch (error) {
    throw new HsmError('bad-input', `${file} cannot be read: does it exist, and may this user read it?`, {
      cause: error,
    });
  }
}
