/**
 * What the renewal remembers between its runs: `host/renewal.json` in the state directory. Losing it costs a report and a request too
 * many, no more: certificates and keys are elsewhere.
 */
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { readJsonFile, writeJsonFile } from '../../state/json-file.ts';
import { hostDirectory } from '../host-record.ts';

const Serial = Type.String({ pattern: '^[0-9]{1,20}$' });
const EpochSeconds = Type.Integer({ minimum: 0 });

const KeyMemory = Type.Object({
  /** The certificate that was last reported in use, when, and what else was said (`claimsOf`). */
  reported: Type.Union([
    Type.Object({ serial: Serial, at: EpochSeconds, claims: Type.Optional(Type.String({ maxLength: 64 })) }),
    Type.Null(),
  ]),
  /** The CA wants this certificate renewed although it is young. */
  renewNow: Type.Boolean(),
  /** Attempts that failed in a row. */
  failures: Type.Integer({ minimum: 0 }),
  /** No attempt before; 0: at once. */
  pausedUntil: EpochSeconds,
  /** Why the last attempt failed: the stable code. */
  refusal: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
  /** When a certificate was last obtained. */
  renewedAt: Type.Optional(EpochSeconds),
  /** The last attempt that failed, also when later ones did not. */
  lastFailure: Type.Optional(
    Type.Object({
      at: EpochSeconds,
      code: Type.String({ maxLength: 64 }),
      message: Type.String({ maxLength: 4096 }),
      advice: Type.Union([Type.String({ maxLength: 4096 }), Type.Null()]),
      needsPerson: Type.Boolean(),
    }),
  ),
});
export type KeyMemory = Static<typeof KeyMemory>;

export const RenewalRecord = Type.Object({
  version: Type.Literal(1),
  /** By fingerprint of the host key. */
  keys: Type.Record(Type.String(), KeyMemory),
});
export type RenewalRecord = Static<typeof RenewalRecord>;

export const nothingYet: KeyMemory = { reported: null, renewNow: false, failures: 0, pausedUntil: 0, refusal: null };

/** What is remembered once the CA took a report: nothing stands in the way any more. */
export function afterReport(
  { renewedAt, lastFailure }: KeyMemory,
  reported: NonNullable<KeyMemory['reported']>,
  renewNow: boolean,
): KeyMemory {
  const kept = {
    ...(renewedAt === undefined ? {} : { renewedAt }),
    ...(lastFailure === undefined ? {} : { lastFailure }),
  };
  return { ...nothingYet, ...kept, reported, renewNow };
}

function renewalRecordPath(stateDirectory: string): string {
  return join(hostDirectory(stateDirectory), 'renewal.json');
}

/** @throws StateError */
export async function readRenewalRecord(stateDirectory: string): Promise<ReadonlyMap<string, KeyMemory>> {
  const record = await readJsonFile(renewalRecordPath(stateDirectory), RenewalRecord);
  return new Map(Object.entries(record?.keys ?? {}));
}

/** @throws StateError */
export async function writeRenewalRecord(stateDirectory: string, keys: ReadonlyMap<string, KeyMemory>): Promise<void> {
  const record: RenewalRecord = { version: 1, keys: Object.fromEntries(keys) };
  await writeJsonFile(renewalRecordPath(stateDirectory), RenewalRecord, record);
}
