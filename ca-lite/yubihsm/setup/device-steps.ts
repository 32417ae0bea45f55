/** Single steps of setting a device up, which initialising, backing up and restoring share. */
import type { PublicKey } from '#openssh/public-key.ts';
import { formatPublicKeyLine } from '#openssh/public-key.ts';
import { getPublicKey } from '../commands/asymmetric.ts';
import { putAuthenticationKey } from '../commands/authentication-key.ts';
import { deleteObject, listObjects } from '../commands/objects.ts';
import { setCommandAudit, setForceAudit } from '../commands/options.ts';
import { exportWrapped, putWrapKey } from '../commands/wrap.ts';
import { HsmError } from '../errors.ts';
import { sshPublicKey } from '../public-key.ts';
import { keysFromPassword } from '../scp03.ts';
import type { Session } from '../session.ts';
import type { BackupKey } from './hsm-backup.ts';
import { type HsmPlan, keysOf, objectIds, type Role, roleHeader, wrapKeyHeader } from './plan.ts';

/** RSA keys can take minutes. */
export const generationTimeoutMs = 900_000;

/** Commands that are worth an entry in the device's log: signatures, and everything that changes who may sign. */
const auditedCommands = [
  'SIGN PKCS1',
  'SIGN ECDSA',
  'SIGN EDDSA',
  'SIGN SSH CERTIFICATE',
  'PUT AUTHENTICATION KEY',
  'CHANGE AUTHENTICATION KEY',
  'PUT ASYMMETRIC KEY',
  'GENERATE ASYMMETRIC KEY',
  'PUT WRAP KEY',
  'GENERATE WRAP KEY',
  'EXPORT WRAPPED',
  'IMPORT WRAPPED',
  'PUT TEMPLATE',
  'DELETE OBJECT',
  'SET OPTION',
  'RESET DEVICE',
] as const;

/** Refuses a device that already has an object where one is to be made. */
export async function demandRoom(session: Session): Promise<void> {
  const found = await session.execute(listObjects());
  const taken = found.filter(({ id }) => Object.values<number>(objectIds).includes(id));
  if (taken.length === 0) return;
  const list = taken.map(({ id, type }) => `${type} 0x${id.toString(16).padStart(4, '0')}`).join(', ');
  throw new HsmError(
    'unexpected-state',
    `the device is set up already, at least in part (${list}); look at it with "hsm status", and give --reset to erase everything on it and begin anew`,
  );
}

/** Makes the authentication key of a role. */
export async function putRole(session: Session, role: Role, plan: HsmPlan, password: string): Promise<void> {
  await session.execute(putAuthenticationKey(roleHeader(role, plan), await keysFromPassword(password)));
}

/** Has the wrap key on the device while the work is done, and takes it away again whatever happens. */
export async function withWrapKey<T>(session: Session, wrapKey: Uint8Array, work: () => Promise<T>): Promise<T> {
  await session.execute(putWrapKey(wrapKeyHeader(), wrapKey));
  try {
    return await work();
  } finally {
    if (!session.lost) await session.execute(deleteObject(objectIds.wrapKey, 'wrap-key'));
  }
}

/** Exports the keys of a plan; the wrap key must be on the device. */
export async function exportKeys(session: Session, plan: HsmPlan): Promise<BackupKey[]> {
  const keys: BackupKey[] = [];
  for (const name of keysOf(plan)) {
    const publicKey = formatPublicKeyLine(await publicKeyOf(session, name), `countersign ${name}`);
    const wrapped = await session.execute(exportWrapped(objectIds.wrapKey, 'asymmetric-key', objectIds[name]));
    keys.push({ name, publicKey, wrapped });
  }
  return keys;
}

/** The public half of a key of a plan. */
export async function publicKeyOf(session: Session, name: BackupKey['name']): Promise<PublicKey> {
  return sshPublicKey(await session.execute(getPublicKey(objectIds[name])));
}

/** Has the device write down signatures and administration, and refuse to work when its log is full. */
export async function forceAudit(session: Session, setting: 'on' | 'fixed'): Promise<void> {
  await session.execute(setCommandAudit(auditedCommands, setting));
  await session.execute(setForceAudit(setting));
}
