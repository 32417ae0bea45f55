/**
 * Restores the CA keys of a backup to another device, which then signs in the first one's place: the same keys, ids,
 * templates, roles and passwords. Proven by a signature with each key before it is called done.
 */
import { encodePublicKey, parsePublicKeyLine, type PublicKey } from '#openssh/public-key.ts';
import { FormatError } from '#openssh/format-error.ts';
import { type DeviceInfo, getDeviceInfo } from '../commands/device.ts';
import { deleteObject } from '../commands/objects.ts';
import { putTemplate } from '../commands/template.ts';
import { importWrapped } from '../commands/wrap.ts';
import type { Connector } from '../connector.ts';
import { HsmError } from '../errors.ts';
import { keysFromPassword, sameBytes } from '../scp03.ts';
import { openSession, type Session } from '../session.ts';
import { demandRoom, forceAudit, publicKeyOf, putRole, withWrapKey } from './device-steps.ts';
import { eraseDevice, factory } from './erase-device.ts';
import type { HsmBackup } from './hsm-backup.ts';
import type { InitialisedHsm, RolePasswords } from './initialise.ts';
import { objectIds, rolesOf, templateHeader } from './plan.ts';
import { proveSigning } from './proof.ts';
import { combineWrapKey } from './wrap-key-shares.ts';
import type { KeyObject } from 'node:crypto';

/** What {@link restoreHsm} needs. */
export interface RestoreOptions {
  connector: Connector;
  /** The authentication key that the device has now; it is deleted. */
  present: { authKeyId: number; password: string };
  administratorPassword: string;
  backup: HsmBackup;
  shares: readonly string[];
  /** The passwords that the CA has already; the timekeeper's only when the timestamp key lives in the device. */
  passwords: RolePasswords;
  /** The timestamp key, when it lives in a file. */
  timestampKey: KeyObject | undefined;
  audit: 'on' | 'fixed';
  reset: boolean;
  nowSeconds: () => number;
  progress: (step: string) => void;
}

/** Restores a backup and proves it. Throws {@link HsmError}; the device cannot be used then. */
export async function restoreHsm(options: RestoreOptions): Promise<InitialisedHsm> {
  const { connector, backup, progress } = options;
  const wrapKey = await combineWrapKey(options.shares);
  if (options.reset) {
    progress('erasing the device');
    await eraseDevice(connector, options.present);
  }
  const present = options.reset ? factory : options.present;
  progress('restoring');
  const info = await fill(options, present, wrapKey);
  wrapKey.fill(0);
  const caKeys = { userCa: publicKeyIn(backup, 'userCa'), hostCa: publicKeyIn(backup, 'hostCa') };
  progress('proving that the CA can sign with this device');
  await proveSigning({ ...options, plan: backup.plan, caKeys });
  const keys = await keysFromPassword(options.administratorPassword);
  await using session = await openSession({ connector, authKeyId: objectIds.administrator, keys });
  await session.execute(deleteObject(present.authKeyId, 'authentication-key'));
  await forceAudit(session, options.audit);
  return { serial: info.serial, firmware: info.firmware, ...caKeys };
}

/** Everything that the present key can put in; it is deleted by the administrator when all is proven. */
async function fill(
  { connector, backup, passwords, administratorPassword }: RestoreOptions,
  present: { authKeyId: number; password: string },
  wrapKey: Uint8Array,
): Promise<DeviceInfo> {
  const keys = await keysFromPassword(present.password);
  await using session = await openSession({ connector, authKeyId: present.authKeyId, keys });
  await demandRoom(session);
  await restoreKeys(session, backup, wrapKey);
  for (const { name, bytes } of backup.templates) await session.execute(putTemplate(templateHeader(name), bytes));
  for (const role of rolesOf(backup.plan)) {
    const password = role === 'administrator' ? administratorPassword : passwords[role];
    await putRole(session, role, backup.plan, password);
  }
  return await session.execute(getDeviceInfo());
}

/** Imports the keys of a backup, and compares each with its public half. Throws {@link HsmError} `key-mismatch`. */
export async function restoreKeys(session: Session, backup: HsmBackup, wrapKey: Uint8Array): Promise<void> {
  await withWrapKey(session, wrapKey, async () => {
    for (const { wrapped } of backup.keys) await session.execute(importWrapped(objectIds.wrapKey, wrapped));
  });
  for (const { name } of backup.keys) {
    const restored = encodePublicKey(await publicKeyOf(session, name));
    if (!sameBytes(restored, encodePublicKey(publicKeyIn(backup, name)))) {
      throw new HsmError('key-mismatch', `the restored key ${name} is not the one that the backup names`);
    }
  }
}

/** The public half of a key of a backup. Throws {@link HsmError} `bad-input`. */
export function publicKeyIn(backup: HsmBackup, name: HsmBackup['keys'][number]['name']): PublicKey {
  const line = backup.keys.find((key) => key.name === name)?.publicKey;
  if (line === undefined) throw new HsmError('bad-input', `the backup has no key ${name}`);
  try {
    return parsePublicKeyLine(line).key;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new HsmError('bad-input', `the public key ${name} in the backup is malformed`, { cause: error });
  }
}
