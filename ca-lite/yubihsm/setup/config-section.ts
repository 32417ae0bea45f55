/** The `[signer]` section that belongs to a device that was set up. Pure. */
import { type HsmPlan, objectIds } from './plan.ts';

/** TOML text; the files are those that a set-up makes. */
export function configSection(plan: HsmPlan, connectors: readonly string[]): string {
  const id = (number: number): string => `0x${number.toString(16).padStart(4, '0')}`;
  const caKey = (key: number, template: number): string =>
    plan.way === 'template' ? `{ key = ${id(key)}, template = ${id(template)} }` : `{ key = ${id(key)} }`;
  const lines = [
    '[signer]',
    'type = "yubihsm"',
    `connectors = [${connectors.map((url) => JSON.stringify(url)).join(', ')}]`,
    'password_file = "secrets/hsm-signer.password"',
    'auditor_password_file = "secrets/hsm-auditor.password"',
    `user_ca = ${caKey(objectIds.userCa, objectIds.userTemplate)}`,
    `host_ca = ${caKey(objectIds.hostCa, objectIds.hostTemplate)}`,
    ...timestampLines(plan),
  ];
  return `${lines.join('\n')}\n`;
}

function timestampLines(plan: HsmPlan): string[] {
  if (plan.way === 'plain') return [];
  if (plan.timestampKey === 'file') return ['timestamp_key_file = "secrets/hsm-timestamp.key"'];
  return ['timestamp_password_file = "secrets/hsm-timekeeper.password"'];
}
