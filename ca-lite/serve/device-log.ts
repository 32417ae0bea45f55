/**
 * The audit log of an HSM, joined to the CA's own: each batch that is read from the device becomes one entry of the CA's chain, with every
 * device entry in it as the 16 bytes that its digest covers, and one entry for each signature that belongs to a certificate. What was stored
 * last tells where the next batch must go on.
 */
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { decodeToBeSigned } from '#openssh/certificate.ts';
import { type Fingerprint, fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import {
  DEVICE_LOG,
  DEVICE_SIGNATURE,
  KEY_CERTIFY,
  deviceName,
  readDeviceLog,
  readKeyCertify,
} from '../audit/device-log-entry.ts';
import type { AuditEntry, AuditStatement } from '../audit/entry.ts';
import type { CertificateRecord, Page } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { DeviceLogBatch, DeviceLogSink } from '../yubihsm/audit-drain.ts';
import type { LogPosition } from '../yubihsm/log-chain.ts';
import type { JoinedSignature, RecordedSignature } from '../yubihsm/log-join.ts';

/** A signature follows its intent within this time, and the device's log may be read in between. */
const SIGNING_SECONDS = 120n;
/** More certificates than fit into a device's log and a signer's queue, since it was read last. */
const MAX_RECORDED = 5000;

/** @param now epoch seconds; what was recorded before the first call of this function is of an earlier process */
export function deviceLogSink(store: Store, now: () => bigint): DeviceLogSink {
  const started = now();
  return {
    lastPosition: async (serial) => lastPosition(store, serial),
    append: async (batch) => {
      const time = now();
      await store.appendAudit([
        ...batch.signatures.map((signature) => signatureStatement(batch.serial, signature, time)),
        batchStatement(batch, time),
      ]);
    },
    recorded: async (serial) => recorded(store, serial, started),
  };
}

function signatureStatement(device: number, { number, serial, by }: JoinedSignature, time: bigint): AuditStatement {
  const subject = { name: deviceName(device), serial };
  return { time, action: DEVICE_SIGNATURE, outcome: 'allowed', code: 'ok', subject, details: { entry: number, by } };
}

function batchStatement(batch: DeviceLogBatch, time: bigint): AuditStatement {
  const { alarm, serial } = batch;
  return {
    time,
    action: DEVICE_LOG,
    outcome: alarm === undefined ? 'allowed' : 'failed',
    code: alarm === undefined ? 'ok' : alarm.code,
    subject: { name: deviceName(serial) },
    details: detailsOf(batch),
  };
}

function detailsOf({ fresh, position, watched, linked, unknown, ...counts }: DeviceLogBatch) {
  const { unloggedBoots, unloggedAuthentications, unlogged } = counts;
  return {
    entries: fresh.map(({ covered, digest }) => `${encodeBase64(covered)} ${encodeBase64(digest)}`),
    linked,
    unloggedBoots,
    unloggedAuthentications,
    ...(unknown.length === 0 ? {} : { unknown }),
    ...(unlogged === 0 ? {} : { unlogged }),
    ...(watched === undefined ? {} : { watched }),
    ...(position === undefined ? {} : { position: { number: position.number, digest: encodeBase64(position.digest) } }),
  };
}

async function lastPosition(store: Store, serial: number): Promise<LogPosition | undefined> {
  const { position } = (await lastBatch(store, serial)) ?? {};
  return position === undefined ? undefined : { number: position.number, digest: decodeBase64(position.digest) };
}

/** The last batch that says where it ended, and when it was stored. */
async function lastBatch(store: Store, serial: number) {
  const pages = newestFirst((cursor) =>
    store.audit({ action: DEVICE_LOG, name: deviceName(serial) }, { limit: 10, cursor }),
  );
  for await (const { details, time } of pages) {
    const position = readDeviceLog(details)?.position;
    if (position !== undefined) return { position, time };
  }
  return undefined;
}

/** What an earlier process was to sign since a device's log was read last, and is not in a log yet. */
async function recorded(store: Store, device: number, started: bigint): Promise<RecordedSignature[]> {
  const since = ((await lastBatch(store, device))?.time ?? started) - SIGNING_SECONDS;
  const found: RecordedSignature[] = [];
  const certificates = newestFirst((cursor) => store.certificates({}, { limit: 100, cursor }));
  for await (const record of certificates) {
    if (record.intendedAt < since || found.length >= MAX_RECORDED) break;
    if (record.intendedAt <= started) found.push(ofCertificate(record));
  }
  const keys = newestFirst((cursor) => store.audit({ action: KEY_CERTIFY }, { limit: 10, cursor }));
  for await (const entry of keys) {
    if (entry.time < since || found.length >= MAX_RECORDED) break;
    if (entry.time <= started) found.push(...ofOwnKey(entry));
  }
  const isNew = await Promise.all(found.map(async ({ serial }) => !(await isInLog(store, serial))));
  return found.filter((_, index) => isNew[index]).toReversed();
}

function ofCertificate({ serial, signedBytes }: CertificateRecord): RecordedSignature {
  return { serial, caFingerprint: signatureKeyOf(signedBytes), tbsLength: signedBytes.length };
}

/** The CA key is the last field of what was to be signed. */
function signatureKeyOf(signedBytes: Uint8Array): Fingerprint {
  return fingerprintOf(encodePublicKey(decodeToBeSigned(signedBytes).signatureKey));
}

function ofOwnKey({ subject, details }: AuditEntry): RecordedSignature[] {
  const certified = readKeyCertify(details);
  if (subject.serial === null || certified === undefined) return [];
  return [{ serial: subject.serial, caFingerprint: certified.ca as Fingerprint, tbsLength: certified.tbsLength }];
}

async function isInLog(store: Store, serial: bigint): Promise<boolean> {
  const { items } = await store.audit({ serial, action: DEVICE_SIGNATURE }, { limit: 1 });
  return items.length > 0;
}

async function* newestFirst<Item>(read: (cursor: string | undefined) => Promise<Page<Item>>): AsyncGenerator<Item> {
  let cursor: string | undefined;
  do {
    const { items, next } = await read(cursor);
    yield* items;
    cursor = next ?? undefined;
  } while (cursor !== undefined);
}
