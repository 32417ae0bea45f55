/** Reads everything that an authentication key can see of a device, for `findings.ts` and for people. */
import type { PublicKey } from '#openssh/public-key.ts';
import { getDeviceInfo, getStorageInfo, type DeviceInfo, type StorageInfo } from '../commands/device.ts';
import { getLogEntries } from '../commands/log.ts';
import { getObjectInfo, listObjects, type ObjectInfo } from '../commands/objects.ts';
import { getCommandAudit, getForceAudit, type Setting } from '../commands/options.ts';
import { getTemplate } from '../commands/template.ts';
import type { Command } from '../commands/command.ts';
import type { Connector } from '../connector.ts';
import { isHsmError } from '../errors.ts';
import { type AuthenticationKeys, keysFromPassword } from '../scp03.ts';
import { openSession, type Session } from '../session.ts';
import { decodeSshTemplate, type SshTemplate } from '../ssh-template.ts';
import { publicKeyOf } from './device-steps.ts';
import { factory } from './erase-device.ts';
import { objectIds } from './plan.ts';

/** What was seen. What the authentication key may not read is undefined. */
export interface Inspection {
  info: DeviceInfo;
  storage: StorageInfo;
  objects: ObjectInfo[];
  templates: Map<number, SshTemplate | 'unreadable'>;
  /** The password that every device leaves the factory with still opens it. */
  factoryPasswordWorks: boolean;
  forceAudit: Setting | undefined;
  commandAudit: Map<number, Setting> | undefined;
  log: { entries: number; unloggedBoots: number; unloggedAuthentications: number } | undefined;
  /** The CA keys, when they are where a set-up puts them. */
  caKeys?: { userCa: PublicKey; hostCa: PublicKey } | undefined;
}

/** Looks at a device. Throws HsmError when it cannot be reached or the password is wrong. */
export async function inspectHsm(options: {
  connector: Connector;
  authKeyId: number;
  keys: AuthenticationKeys;
}): Promise<Inspection> {
  const factoryPasswordWorks = await triesFactoryPassword(options.connector);
  await using session = await openSession(options);
  const objects: ObjectInfo[] = [];
  for (const { id, type } of await session.execute(listObjects())) {
    objects.push(await session.execute(getObjectInfo(id, type)));
  }
  const page = await allowed(session, getLogEntries());
  return {
    info: await session.execute(getDeviceInfo()),
    storage: await session.execute(getStorageInfo()),
    objects,
    templates: await readTemplates(session, objects),
    factoryPasswordWorks,
    forceAudit: await allowed(session, getForceAudit()),
    commandAudit: await allowed(session, getCommandAudit()),
    caKeys: await readCaKeys(session, objects),
    log: page && {
      entries: page.entries.length,
      unloggedBoots: page.unloggedBoots,
      unloggedAuthentications: page.unloggedAuthentications,
    },
  };
}

async function triesFactoryPassword(connector: Connector): Promise<boolean> {
  try {
    const keys = await keysFromPassword(factory.password);
    await using _ = await openSession({ connector, authKeyId: factory.authKeyId, keys });
    return true;
  } catch (error) {
    if (isHsmError(error, 'device-authentication-failed', 'device-object-not-found')) return false;
    throw error;
  }
}

async function readCaKeys(session: Session, objects: readonly ObjectInfo[]): Promise<Inspection['caKeys']> {
  const ids = [objectIds.userCa, objectIds.hostCa];
  const there = ids.every((id) => objects.some((object) => object.id === id && object.type === 'asymmetric-key'));
  if (!there) return undefined;
  return { userCa: await publicKeyOf(session, 'userCa'), hostCa: await publicKeyOf(session, 'hostCa') };
}

async function readTemplates(
  session: Session,
  objects: readonly ObjectInfo[],
): Promise<Map<number, SshTemplate | 'unreadable'>> {
  const templates = new Map<number, SshTemplate | 'unreadable'>();
  for (const { id } of objects.filter(({ type }) => type === 'template')) {
    const bytes = await allowed(session, getTemplate(id));
    if (bytes !== undefined) templates.set(id, readable(bytes));
  }
  return templates;
}

function readable(bytes: Uint8Array): SshTemplate | 'unreadable' {
  try {
    return decodeSshTemplate(bytes);
  } catch (error) {
    if (isHsmError(error, 'answer-malformed')) return 'unreadable';
    throw error;
  }
}

/** Runs a command; undefined when the authentication key lacks the capability. */
async function allowed<T>(session: Session, command: Command<T>): Promise<T | undefined> {
  try {
    return await session.execute(command);
  } catch (error) {
    if (isHsmError(error, 'device-insufficient-permissions')) return undefined;
    throw error;
  }
}
