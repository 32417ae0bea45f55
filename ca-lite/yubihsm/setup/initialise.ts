/**
 * Sets a fresh device up: administrator instead of the factory's key, CA keys, templates, backup, a restore that is
 * proven, the other roles, the audit.
 *
 * The order is chosen so that an interruption leaves nothing that looks finished: whoever begins anew resets the device,
 * which holds nothing yet that anybody relies on. Secrets are handed to their keeper before the device gets them.
 *
 * The proof: the wrap key is put together from the shares as their custodians hold them, the new CA keys are deleted from
 * the device, restored from the backup as it will be read, and sign.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { PublicKey } from '#openssh/public-key.ts';
import { generateAsymmetricKey } from '../commands/asymmetric.ts';
import { type DeviceInfo, getDeviceInfo } from '../commands/device.ts';
import { deleteObject } from '../commands/objects.ts';
import { putTemplate } from '../commands/template.ts';
import type { Connector } from '../connector.ts';
import { isHsmError } from '../errors.ts';
import { keysFromPassword } from '../scp03.ts';
import { openSession, type Session } from '../session.ts';
import { fileTimestampKey } from '../timestamp-key.ts';
import { attestKeys, formatAttestations } from './attest.ts';
import {
  demandRoom,
  exportKeys,
  forceAudit,
  generationTimeoutMs,
  publicKeyOf,
  putRole,
  withWrapKey,
} from './device-steps.ts';
import { eraseDevice, factory } from './erase-device.ts';
import { formatHsmBackup, type HsmBackup, parseHsmBackup } from './hsm-backup.ts';
import { type HsmPlan, keyHeader, keysOf, objectIds, rolesOf, templateHeader, type TemplatePlan } from './plan.ts';
import { type NamedTemplate, templatesOf } from './plan-templates.ts';
import { proveSigning } from './proof.ts';
import { restoreKeys } from './restore.ts';
import { combineWrapKey, type ShareCounts, splitWrapKey } from './wrap-key-shares.ts';

/** Those who keep the shares of the wrap key. */
export interface Custodians {
  /** Hands each share to its custodian, once. */
  distribute(shares: readonly string[]): Promise<void>;
  /** Asks for as many shares as restore the key. */
  collect(count: number): Promise<string[]>;
}

/** Where secrets and results are kept. Each call returns when it is durable. */
export interface Keeper {
  /** Keeps a password of the CA's own (not the administrator's). */
  password(role: 'signer' | 'auditor' | 'timekeeper', password: string): Promise<void>;
  /** Keeps the timestamp key that lives in a file. */
  timestampKey(key: KeyObject): Promise<void>;
  /** Keeps what the device attests of the CA keys. */
  attestations(text: string): Promise<void>;
  /** Keeps the backup, and returns it as it can be read from where it is. */
  backup(text: string): Promise<string>;
}

/** What {@link initialiseHsm} needs. */
export interface InitialiseOptions {
  connector: Connector;
  /** The authentication key that the device has now; it is deleted. */
  present: { authKeyId: number; password: string };
  administratorPassword: string;
  plan: HsmPlan;
  shares: ShareCounts;
  /** `fixed` cannot be taken back without a reset of the device. */
  audit: 'on' | 'fixed';
  /** Erases everything on the device first. */
  reset: boolean;
  custodians: Custodians;
  keeper: Keeper;
  random: (length: number) => Uint8Array;
  now: () => Date;
  progress: (step: string) => void;
}

/** What a device is after it was set up. */
export interface InitialisedHsm {
  serial: number;
  firmware: readonly number[];
  userCa: PublicKey;
  hostCa: PublicKey;
}

/** Passwords of the CA's own roles. */
export type RolePasswords = Record<'signer' | 'auditor' | 'timekeeper', string>;

interface MadeKeys {
  templates: NamedTemplate[];
  /** Only when the timestamp key lives in a file. */
  timestampKey: KeyObject | undefined;
}

/** Sets a device up and proves a restore. Throws {@link HsmError}; the device cannot be used then. */
export async function initialiseHsm(options: InitialiseOptions): Promise<InitialisedHsm> {
  const { plan, keeper, progress } = options;
  const { serial, firmware } = await replacePresentKey(options);
  const passwords = makePasswords(options.random);
  const { timestampKey } = await asAdministrator(options, async (session) => {
    const made = await makeKeys(session, options);
    const attested = await attestKeys(session, plan);
    if (attested) await keeper.attestations(formatAttestations(attested));
    const backup = await backUp(session, options, serial, made.templates);
    await proveRestore(session, options, backup);
    progress('making the authentication keys of the CA');
    for (const role of rolesOf(plan).filter((each) => each !== 'administrator')) {
      await keeper.password(role, passwords[role]);
      await putRole(session, role, plan, passwords[role]);
    }
    return made;
  });
  const caKeys = await asAdministrator(options, readCaKeys);
  progress('proving that the CA can sign');
  const nowSeconds = (): number => Math.floor(options.now().getTime() / 1000);
  await proveSigning({ connector: options.connector, plan, passwords, timestampKey, caKeys, nowSeconds });
  progress('switching the audit on');
  await asAdministrator(options, async (session) => forceAudit(session, options.audit));
  return { serial, firmware, ...caKeys };
}

async function asAdministrator<T>(
  { connector, administratorPassword }: Pick<InitialiseOptions, 'connector' | 'administratorPassword'>,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const keys = await keysFromPassword(administratorPassword);
  await using session = await openSession({ connector, authKeyId: objectIds.administrator, keys });
  return await work(session);
}

/** The administrator comes in, proves that its password works, and removes the key that was there before. */
async function replacePresentKey(options: InitialiseOptions): Promise<DeviceInfo> {
  const { connector, plan, administratorPassword, progress } = options;
  if (options.reset) {
    progress('erasing the device');
    await eraseDevice(connector, options.present);
  }
  const { authKeyId, password } = options.reset ? factory : options.present;
  progress('replacing the present authentication key with the administrator');
  const info = await putAdministrator(connector, authKeyId, password, plan, administratorPassword);
  await asAdministrator(options, async (session) => session.execute(deleteObject(authKeyId, 'authentication-key')));
  return info;
}

async function putAdministrator(
  connector: Connector,
  authKeyId: number,
  password: string,
  plan: HsmPlan,
  administratorPassword: string,
): Promise<DeviceInfo> {
  await using session = await openSession({ connector, authKeyId, keys: await keysFromPassword(password) });
  await demandRoom(session);
  await putRole(session, 'administrator', plan, administratorPassword);
  return await session.execute(getDeviceInfo());
}

function makePasswords(random: (length: number) => Uint8Array): RolePasswords {
  const make = (): string => Buffer.from(random(32)).toString('base64url');
  return { signer: make(), auditor: make(), timekeeper: make() };
}

async function makeKeys(session: Session, options: InitialiseOptions): Promise<MadeKeys> {
  const { plan, progress } = options;
  for (const name of keysOf(plan)) {
    progress(`making the key ${name}; an RSA key can take minutes`);
    const command = generateAsymmetricKey(keyHeader(name, plan));
    await session.execute(command, AbortSignal.timeout(generationTimeoutMs));
  }
  if (plan.way === 'plain') return { templates: [], timestampKey: undefined };
  progress('making the templates');
  const { modulus, timestampKey } = await makeTimestampKey(session, options, plan);
  const templates = templatesOf(plan, modulus);
  for (const { name, bytes } of templates) await session.execute(putTemplate(templateHeader(name), bytes));
  return { templates, timestampKey };
}

async function makeTimestampKey(
  session: Session,
  { keeper }: InitialiseOptions,
  plan: TemplatePlan,
): Promise<{ modulus: Uint8Array; timestampKey: KeyObject | undefined }> {
  if (plan.timestampKey === 'device') {
    const publicKey = await publicKeyOf(session, 'timestamp');
    if (publicKey.type !== 'ssh-rsa') throw new TypeError('the timestamp key is RSA');
    return { modulus: publicKey.modulus, timestampKey: undefined };
  }
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await keeper.timestampKey(privateKey);
  return { modulus: fileTimestampKey(privateKey, () => 0).modulus, timestampKey: privateKey };
}

/** Makes the backup and gives the shares away; returns the backup as it will be read. */
async function backUp(
  session: Session,
  options: InitialiseOptions,
  serial: number,
  templates: NamedTemplate[],
): Promise<HsmBackup> {
  const { plan, custodians, keeper, progress } = options;
  progress('making the backup');
  const wrapKey = options.random(32);
  await custodians.distribute(await splitWrapKey(wrapKey, options.shares));
  const keys = await withWrapKey(session, wrapKey, async () => exportKeys(session, plan));
  wrapKey.fill(0);
  const backup = { madeAt: options.now().toISOString(), serial, plan, keys, templates };
  return parseHsmBackup(await keeper.backup(formatHsmBackup(backup)));
}

/** Deletes the new keys from the device and restores them, with the shares as their custodians have them. */
async function proveRestore(session: Session, options: InitialiseOptions, backup: HsmBackup): Promise<void> {
  options.progress('proving that the backup can be restored');
  const wrapKey = await collectWrapKey(options);
  for (const { name } of backup.keys) await session.execute(deleteObject(objectIds[name], 'asymmetric-key'));
  await restoreKeys(session, backup, wrapKey);
  wrapKey.fill(0);
}

/** Asks for the shares, again when one was mistyped. */
async function collectWrapKey({ custodians, shares }: InitialiseOptions): Promise<Uint8Array> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await combineWrapKey(await custodians.collect(shares.threshold));
    } catch (error) {
      if (attempt === 3 || !isHsmError(error, 'bad-input')) throw error;
    }
  }
}

async function readCaKeys(session: Session): Promise<{ userCa: PublicKey; hostCa: PublicKey }> {
  return { userCa: await publicKeyOf(session, 'userCa'), hostCa: await publicKeyOf(session, 'hostCa') };
}
