/** `countersign-ca grant`, `grant list`, `grant end ID`: permission to renew after expiry, once decided by a person (docs/lineage.md). */
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { parseDuration } from '../config/duration.ts';
import { type GrantKind, type GrantRecord, MAX_GRANT_USES } from '../store/grant-decisions.ts';
import type { StoreReader } from '../store/store.ts';
import { administrator, openAdministrator } from './administering.ts';
import { nowInSeconds } from './epoch.ts';
import { formatTime, printJson, printTable } from './output.ts';
import { PAGE_LENGTH, openReader, take } from './reading.ts';

export interface GrantOptions {
  readonly dir: string;
  readonly host?: string;
  readonly user?: string;
  readonly serial?: bigint;
  readonly lineage?: string;
  readonly for: string;
  readonly uses?: number;
  readonly json?: boolean;
}

export async function grant(options: GrantOptions): Promise<void> {
  const { kind, value } = targetOf(options);
  await using store = await openAdministrator(options.dir);
  await checkTarget(kind, value, store, options.dir);
  const uses = options.uses ?? (kind === 'host' ? await countKeys(value, store) : 1);
  if (uses > MAX_GRANT_USES) throw new CommandError(`A grant has at most ${MAX_GRANT_USES} uses.`);
  const now = nowInSeconds();
  const expiresAt = now + BigInt(parseDuration(options.for) ?? 0);
  const createdBy = administrator();
  const subject = {
    name: kind === 'serial' ? null : value,
    serial: kind === 'serial' ? BigInt(value) : null,
    actor: createdBy,
  };
  const details = { kind, uses, until: String(expiresAt) };
  const audit = { time: now, action: 'grant-make', subject, details };
  const decision = await store.makeGrant({ kind, value, uses, expiresAt, now, createdBy, audit });
  const facts = { grant: decision.grant, kind, value, uses, expiresAt: formatTime(expiresAt) };
  if (options.json === true) return printJson(facts);
  process.stdout.write(
    `Grant ${decision.grant}: ${kind} ${value} may renew after expiry, ${uses === 1 ? 'once' : `${uses} times`}, until ${facts.expiresAt}.\n` +
      `Take it back with: countersign-ca grant end ${decision.grant}\n`,
  );
}

function targetOf({ host, user, serial, lineage }: GrantOptions): { kind: GrantKind; value: string } {
  const given = { host, user, serial: serial === undefined ? undefined : String(serial), lineage };
  const targets = Object.entries(given).filter((entry): entry is [GrantKind, string] => entry[1] !== undefined);
  const [target] = targets;
  if (target === undefined || targets.length > 1)
    throw new CommandError('Say whom it is for, in one way: --host NAME, --user ID, --serial N or --lineage L.');
  return { kind: target[0], value: target[1] };
}

/** A slip of the pen must not lie around as a permission. */
async function checkTarget(kind: GrantKind, value: string, store: StoreReader, dir: string): Promise<void> {
  const list = `List what there is with: countersign-ca certs --dir ${dir}`;
  if (kind === 'lineage' && (await store.lineage(value)) === null)
    throw new CommandError(`There is no lineage ${value}. ${list}`);
  if (kind === 'serial' && (await store.certificate(BigInt(value))) === null)
    throw new CommandError(`There is no certificate with serial ${value}. ${list}`);
  if (kind === 'host' && (await findCertificate({ principal: value }, 'host', store)) === 0)
    throw new CommandError(`No host certificate was ever issued for ${value}. ${list}`);
  if (kind === 'user' && !(await isUser(value, store)))
    throw new CommandError(`No user certificate was ever issued to ${value}. ${list}`);
}

async function isUser(value: string, store: StoreReader): Promise<boolean> {
  const found = [{ identity: value }, { keyId: value }].map(async (filter) => findCertificate(filter, 'user', store));
  return (await Promise.all(found)).some((count) => count > 0);
}

async function findCertificate(
  filter: { principal: string } | { keyId: string } | { identity: string },
  type: 'host' | 'user',
  store: StoreReader,
): Promise<number> {
  return (await take(1, (cursor) => store.certificates({ ...filter, type }, { limit: PAGE_LENGTH, cursor }))).length;
}

/** One use for each key that the host enrolled, since each has a certificate of its own to renew. */
async function countKeys(name: string, store: StoreReader): Promise<number> {
  const hosts = await take(PAGE_LENGTH, (cursor) =>
    store.hosts({ name, state: 'enrolled' }, { limit: PAGE_LENGTH, cursor }),
  );
  return Math.max(1, hosts.length);
}

export interface GrantListOptions {
  readonly dir: string;
  readonly all?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

export async function listGrants(_options: object, command: Command): Promise<void> {
  const { dir, all, limit, json } = command.optsWithGlobals<GrantListOptions>();
  await using store = await openReader(dir);
  const now = nowInSeconds();
  const openAt = all === true ? undefined : now;
  const found = await take(limit, (cursor) => store.grants(openAt, { limit: PAGE_LENGTH, cursor }));
  if (json === true) return printJson(found.map((one) => jsonOf(one, now)));
  const rows = found.map((one) => [
    one.grant,
    stateOf(one, now),
    `${one.kind} ${one.value}`,
    `${one.usesLeft} of ${one.uses}`,
    formatTime(one.expiresAt),
    one.createdBy,
  ]);
  printTable(['GRANT', 'STATE', 'FOR', 'USES LEFT', 'UNTIL', 'BY'], rows, 'No grants.');
}

export async function endGrant(grantId: bigint, _options: object, command: Command): Promise<void> {
  const { dir, json } = command.optsWithGlobals<Pick<GrantListOptions, 'dir' | 'json'>>();
  await using store = await openAdministrator(dir);
  const now = nowInSeconds();
  const endedBy = administrator();
  const audit = { time: now, action: 'grant-end', subject: { actor: endedBy }, details: { grant: String(grantId) } };
  const decision = await store.endGrant({ grant: grantId, now, endedBy, audit });
  if (!decision.accepted && decision.refusal === 'grant-unknown')
    throw new CommandError(
      `There is no grant ${grantId}. List them with: countersign-ca grant list --all --dir ${dir}`,
    );
  if (!decision.accepted)
    throw new CommandError(`Grant ${grantId} is over already: used up, expired or ended. Nothing is left to end.`);
  if (json === true) return printJson({ ended: grantId });
  process.stdout.write(`Grant ${grantId} is ended. What was renewed by it stays valid: see countersign-ca revoke.\n`);
}

function stateOf({ endedAt, usesLeft, expiresAt }: GrantRecord, now: bigint): string {
  if (endedAt !== null) return 'ended';
  if (usesLeft === 0) return 'used';
  return expiresAt <= now ? 'expired' : 'open';
}

function jsonOf(record: GrantRecord, now: bigint): Record<string, unknown> {
  const { createdAt, expiresAt, endedAt } = record;
  const times = { createdAt: formatTime(createdAt), expiresAt: formatTime(expiresAt), endedAt: formatTime(endedAt) };
  return { ...record, ...times, state: stateOf(record, now) };
}
