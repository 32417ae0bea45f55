/**
 * Makes a backup of a device that is in use, under the wrap key whose shares the custodians have. The device goes on
 * signing in between; nothing on it changes but the wrap key, which comes and goes.
 */
import { getDeviceInfo } from '../commands/device.ts';
import { getTemplate } from '../commands/template.ts';
import type { Connector } from '../connector.ts';
import { keysFromPassword } from '../scp03.ts';
import { openSession, type Session } from '../session.ts';
import { exportKeys, withWrapKey } from './device-steps.ts';
import type { HsmBackup } from './hsm-backup.ts';
import { type HsmPlan, objectIds } from './plan.ts';
import type { NamedTemplate } from './plan-templates.ts';
import { combineWrapKey } from './wrap-key-shares.ts';

/** What {@link backUpHsm} needs. */
export interface BackUpOptions {
  connector: Connector;
  administratorPassword: string;
  /** What the device was set up with; the plan of the earlier backup. */
  plan: HsmPlan;
  shares: readonly string[];
  now: () => Date;
}

/** Exports the CA keys and templates. Throws HsmError. */
export async function backUpHsm(options: BackUpOptions): Promise<HsmBackup> {
  const { connector, plan } = options;
  const wrapKey = await combineWrapKey(options.shares);
  const adminKeys = await keysFromPassword(options.administratorPassword);
  await using session = await openSession({ connector, authKeyId: objectIds.administrator, keys: adminKeys });
  const { serial } = await session.execute(getDeviceInfo());
  const keys = await withWrapKey(session, wrapKey, async () => exportKeys(session, plan));
  wrapKey.fill(0);
  const templates = plan.way === 'template' ? await readTemplates(session) : [];
  return { madeAt: options.now().toISOString(), serial, plan, keys, templates };
}

async function readTemplates(session: Session): Promise<NamedTemplate[]> {
  return [
    { name: 'userTemplate', bytes: await session.execute(getTemplate(objectIds.userTemplate)) },
    { name: 'hostTemplate', bytes: await session.execute(getTemplate(objectIds.hostTemplate)) },
  ];
}
