/**
 * The audit log of an HSM, joined to the CA's own: each batch that is read from the device becomes one entry of the CA's chain, with every
 * device entry in it as the 16 bytes that its digest covers. What was stored last tells where the next batch must go on.
 */
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Store } from '../store/store.ts';
import type { DeviceLogBatch, DeviceLogSink } from '../yubihsm/audit-drain.ts';
import type { LogPosition } from '../yubihsm/log-chain.ts';

const ACTION = 'hsm-log';
const Position = Type.Object({ number: Type.Integer(), digest: Type.String() });

export function deviceLogSink(store: Store, now: () => bigint): DeviceLogSink {
  return {
    lastPosition: async (serial) => lastPosition(store, serial),
    append: async (batch) => {
      const { alarm } = batch;
      await store.appendAudit([
        {
          time: now(),
          action: ACTION,
          outcome: alarm === undefined ? 'allowed' : 'failed',
          code: alarm === undefined ? 'ok' : alarm.code,
          subject: { name: nameOf(batch.serial) },
          details: detailsOf(batch),
        },
      ]);
    },
  };
}

function detailsOf({ fresh, position, linked, unloggedBoots, unloggedAuthentications }: DeviceLogBatch) {
  return {
    entries: fresh.map(({ covered, digest }) => `${encodeBase64(covered)} ${encodeBase64(digest)}`),
    linked,
    unloggedBoots,
    unloggedAuthentications,
    ...(position === undefined ? {} : { position: { number: position.number, digest: encodeBase64(position.digest) } }),
  };
}

async function lastPosition(store: Store, serial: number): Promise<LogPosition | undefined> {
  let cursor: string | undefined;
  do {
    const { items, next } = await store.audit({ action: ACTION, name: nameOf(serial) }, { limit: 10, cursor });
    for (const { details } of items) {
      const { position } = JSON.parse(details) as { position?: unknown };
      if (Value.Check(Position, position)) return { number: position.number, digest: decodeBase64(position.digest) };
    }
    cursor = next ?? undefined;
  } while (cursor !== undefined);
  return undefined;
}

function nameOf(serial: number): string {
  return `yubihsm ${serial}`;
}
