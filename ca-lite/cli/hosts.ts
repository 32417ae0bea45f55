/** `countersign-ca hosts` and `countersign-ca hosts clear NAME`: who is enrolled, and letting a name enrol anew. */
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { caLayout } from '../directory/layout.ts';
import { openConfig, storePath } from '../directory/open-config.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import { nowInSeconds } from './epoch.ts';
import { jsonOf, stateOf, takeInventory } from './host-inventory.ts';
import { formatTime, printJson, printTable } from './output.ts';
import { PAGE_LENGTH, openReader, take } from './reading.ts';

export interface HostsOptions {
  readonly dir: string;
  readonly name?: string;
  readonly all?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

export async function hosts(options: HostsOptions): Promise<void> {
  await using store = await openReader(options.dir);
  const filter = { name: options.name, ...(options.all === true ? {} : { state: 'enrolled' as const }) };
  const found = await take(options.limit, (cursor) => store.hosts(filter, { limit: PAGE_LENGTH, cursor }));
  const inventory = await Promise.all(found.map(async (host) => takeInventory(host, store)));
  if (options.json === true) return printJson(inventory.map(jsonOf));
  const rows = inventory.map((one) => [
    one.host.names.join(','),
    one.host.addresses.join(','),
    stateOf(one),
    one.host.keyFingerprint,
    one.host.serial ?? '-',
    formatTime(one.validBefore),
    formatTime(one.report?.reportedAt ?? null),
    one.report?.agentVersion ?? '-',
    one.report?.krlNumber ?? '-',
  ]);
  const headings = ['NAME', 'ADDRESS', 'STATE', 'KEY', 'SERIAL', 'VALID BEFORE', 'LAST REPORT', 'AGENT', 'KRL'];
  printTable(headings, rows, 'No hosts are enrolled.');
}

/** @param command as commander hands it over: `--dir` and `--json` belong to the command above it */
export async function clearHost(name: string, _options: object, command: Command): Promise<void> {
  const { dir, json } = command.optsWithGlobals<Pick<HostsOptions, 'dir' | 'json'>>();
  const layout = caLayout(dir);
  await using store = await openSqliteStore({
    path: storePath(layout, await openConfig(layout)),
    role: 'administrator',
  });
  const now = nowInSeconds();
  const subject = { type: 'host', name, actor: userInfo().username } as const;
  const decision = await store.clearHost({ name, now, audit: { time: now, action: 'host-clear', subject } });
  if (!decision.accepted)
    throw new CommandError(`No host is enrolled as ${name}. List them with: countersign-ca hosts --dir ${dir}`);
  if (json === true) return printJson({ cleared: name });
  process.stdout.write(
    `${name} may enrol anew, with any key. Certificates that it has stay valid until they expire, and renew no more.\n`,
  );
}
