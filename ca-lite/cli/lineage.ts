/** `countersign-ca lineages`, `lineage L` and `lineage resolve L`: the chains of certificates, and ending a quarantine (docs/lineage.md). */
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import type { CertificateRecord } from '../store/records.ts';
import type { LineageRecord, ReportRecord, SightingRecord } from '../store/lineage-decisions.ts';
import { administrator, openAdministrator } from './administering.ts';
import { nowInSeconds } from './epoch.ts';
import { formatTime, printFacts, printJson, printTable } from './output.ts';
import { PAGE_LENGTH, openReader, take } from './reading.ts';

const MAX_SHOWN = 50;

export interface LineagesOptions {
  readonly dir: string;
  readonly quarantined?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

export async function lineages(options: LineagesOptions): Promise<void> {
  await using store = await openReader(options.dir);
  const filter = options.quarantined === true ? { state: 'quarantined' as const } : {};
  const found = await take(options.limit, (cursor) => store.lineages(filter, { limit: PAGE_LENGTH, cursor }));
  if (options.json === true) return printJson(found.map(jsonOfLineage));
  const rows = found.map(({ lineage, name, state, head, seenAt, seenFrom }) => [
    lineage,
    name,
    state,
    head,
    formatTime(seenAt),
    seenFrom ?? '-',
  ]);
  printTable(['LINEAGE', 'NAME', 'STATE', 'HEAD', 'IN USE SINCE', 'SEEN FROM'], rows, 'No lineages.');
}

export async function lineage(name: string, _options: object, command: Command): Promise<void> {
  const { dir, json } = command.optsWithGlobals<Pick<LineagesOptions, 'dir' | 'json'>>();
  await using store = await openReader(dir);
  const record = await store.lineage(name);
  if (record === null) throw unknownLineage(name, dir);
  const certificates = await take(MAX_SHOWN, (cursor) =>
    store.certificates({ lineage: name }, { limit: MAX_SHOWN, cursor }),
  );
  const [sightings, report] = [await store.sightings(name), await store.report(name)];
  if (json === true) return printJson(jsonOf(record, certificates, sightings, report));
  printFacts([
    ['Lineage', record.lineage],
    ['Name', record.name],
    ['State', record.state],
    ['Key', record.keyFingerprint],
    ['Head', record.head],
    ['In use since', `${formatTime(record.seenAt)} from ${record.seenFrom ?? '-'}`],
    ['Last report', report === null ? '-' : `${formatTime(report.reportedAt)} from ${report.requester}`],
  ]);
  process.stdout.write('\n');
  const rows = certificates.map((one) => [
    one.serial,
    placeOf(one, record),
    formatTime(one.intendedAt),
    formatTime(one.validBefore),
  ]);
  printTable(['SERIAL', 'PLACE', 'ISSUED', 'VALID BEFORE'], rows, 'No certificates.');
  if (record.state === 'quarantined') showQuarantine(record, sightings, dir);
}

function showQuarantine(
  { lineage: name, head }: LineageRecord,
  sightings: readonly SightingRecord[],
  dir: string,
): void {
  process.stdout.write(
    '\nTwo holders of this key showed up after it was renewed: a copied disk, or a restored backup.\n',
  );
  const rows = sightings.map((one) => [
    one.serial,
    one.requester,
    formatTime(one.firstSeen),
    formatTime(one.lastSeen),
    one.times,
  ]);
  printTable(['SERIAL', 'FROM', 'FIRST SEEN', 'LAST SEEN', 'TIMES'], rows, '');
  process.stdout.write(
    `\nLet the rightful one go on:  countersign-ca lineage resolve ${name} --keep SERIAL --dir ${dir}   (the newest is ${head})\n` +
      `Or end the lineage:          countersign-ca lineage resolve ${name} --revoke --dir ${dir}\n`,
  );
}

export interface ResolveOptions {
  readonly dir: string;
  readonly keep?: bigint;
  readonly revoke?: boolean;
  readonly json?: boolean;
}

export async function resolveLineage(name: string, _options: object, command: Command): Promise<void> {
  const { dir, keep, revoke, json } = command.optsWithGlobals<ResolveOptions>();
  if ((keep === undefined) === (revoke !== true))
    throw new CommandError(
      'Say how to resolve it: --keep SERIAL lets that certificate go on, --revoke ends the lineage.',
    );
  await using store = await openAdministrator(dir);
  const now = nowInSeconds();
  const subject = { serial: keep ?? null, actor: administrator() };
  const audit = { time: now, action: 'lineage-resolve', subject, details: { lineage: name, kept: keep !== undefined } };
  const decision = await store.resolveLineage({ lineage: name, keep: keep ?? null, now, audit });
  if (!decision.accepted) {
    if (decision.refusal === 'lineage-unknown') throw unknownLineage(name, dir);
    throw new CommandError(
      decision.refusal === 'lineage-not-quarantined'
        ? `The lineage ${name} is not quarantined: there is nothing to resolve.`
        : `--keep needs the serial of a certificate of this lineage that is not revoked: countersign-ca lineage ${name} --dir ${dir}`,
    );
  }
  if (json === true) return printJson({ lineage: name, kept: keep ?? null });
  process.stdout.write(
    keep === undefined
      ? `The lineage ${name} is over: all its certificates are revoked.\n`
      : `The lineage ${name} goes on with ${keep}. The other side's certificates are revoked.\n`,
  );
}

function placeOf({ serial, state, validBefore }: CertificateRecord, { head }: LineageRecord): string {
  if (serial === head) return validBefore <= nowInSeconds() ? 'head (expired)' : 'head';
  return state === 'issued' ? '' : state;
}

function unknownLineage(name: string, dir: string): CommandError {
  return new CommandError(`There is no lineage ${name}. List them with: countersign-ca lineages --dir ${dir}`);
}

function jsonOfLineage(record: LineageRecord): Record<string, unknown> {
  const { seenAt, createdAt, changedAt } = record;
  return { ...record, seenAt: formatTime(seenAt), createdAt: formatTime(createdAt), changedAt: formatTime(changedAt) };
}

function jsonOf(
  record: LineageRecord,
  certificates: readonly CertificateRecord[],
  sightings: readonly SightingRecord[],
  report: ReportRecord | null,
): Record<string, unknown> {
  return {
    ...jsonOfLineage(record),
    certificates: certificates.map(({ serial, state, predecessor, keyFingerprint, validBefore }) => ({
      serial,
      state,
      predecessor,
      keyFingerprint,
      validBefore: formatTime(validBefore),
    })),
    sightings: sightings.map((one) => ({
      ...one,
      firstSeen: formatTime(one.firstSeen),
      lastSeen: formatTime(one.lastSeen),
    })),
    report: report === null ? null : { ...report, reportedAt: formatTime(report.reportedAt) },
  };
}
