/**
 * What is remembered of the time: `clock.json` in the state directory. Commands that run for a moment need not ask the CA again within a
 * boot, and a clock that went back is noticed after one. Losing it costs a question to the CA. Does I/O.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import type { Authority } from '../state/authority.ts';
import { readJsonFile, writeJsonFile } from '../state/json-file.ts';
import { StateError } from '../state/state-error.ts';
import { systemErrorCode } from '../failure.ts';
import { Clock, type ReadClocks, readSystemClocks } from './clock.ts';
import { RELEASED_MS } from './judgement.ts';

const Milliseconds = Type.Number({ minimum: 0, maximum: 8.64e15 });

const ClockRecord = Type.Object({
  version: Type.Literal(1),
  /** The boot in which `bootMs` counts; null where it cannot be told from another one. */
  bootId: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
  trueMs: Milliseconds,
  /** May be negative: clocks can be set to before the epoch. */
  wallMs: Type.Number(),
  bootMs: Milliseconds,
});
type ClockRecord = Static<typeof ClockRecord>;

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** The clock of this machine, with what earlier runs learned. @throws StateError `state-unusable` */
export async function openClock(
  stateDirectory: string,
  { rootCertificate }: Pick<Authority, 'rootCertificate'>,
  read: ReadClocks = readSystemClocks,
): Promise<Clock> {
  const record = await readRecord(stateDirectory);
  const bounds = {
    earliestMs: Math.max(RELEASED_MS, record?.trueMs ?? 0),
    latestMs: new X509Certificate(rootCertificate).validToDate.getTime(),
  };
  const isOurs = record !== undefined && isOfThisBoot(record, await readBootId(), read().bootMs);
  return new Clock({ read, bounds, anchor: isOurs ? record : undefined });
}

/** A container that was started again has another uptime in the same boot. */
function isOfThisBoot({ bootId, bootMs }: ClockRecord, thisBoot: string | null, nowMs: number): boolean {
  return bootId !== null && bootId === thisBoot && bootMs <= nowMs;
}

/** Does nothing when nothing was learned since. @throws StateError */
export async function rememberClock(stateDirectory: string, clock: Clock): Promise<void> {
  const { anchor, kept } = clock;
  if (anchor === undefined || anchor === kept) return;
  const { trueMs, wallMs, bootMs } = anchor;
  const record: ClockRecord = { version: 1, bootId: await readBootId(), trueMs, wallMs, bootMs };
  await writeJsonFile(recordPath(stateDirectory), ClockRecord, record);
  clock.kept = anchor;
}

function recordPath(stateDirectory: string): string {
  return join(stateDirectory, 'clock.json');
}

async function readRecord(stateDirectory: string): Promise<ClockRecord | undefined> {
  try {
    return await readJsonFile(recordPath(stateDirectory), ClockRecord);
  } catch (error) {
    if (error instanceof StateError && error.code === 'state-damaged') return undefined;
    throw error;
  }
}

async function readBootId(): Promise<string | null> {
  try {
    return (await readFile(BOOT_ID, 'utf8')).trim();
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return null;
  }
}
