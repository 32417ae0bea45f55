/** Erases a device and waits until it is back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { resetDevice } from '../commands/device.ts';
import type { Connector } from '../connector.ts';
import { isHsmError } from '../errors.ts';
import { keysFromPassword } from '../scp03.ts';
import { openSession } from '../session.ts';

/** What every device has after a reset. */
export const factory = { authKeyId: 1, password: 'password' } as const;

const attempts = 40;
const pauseMs = 500;

/** Erases everything on the device, with an authentication key that may. Throws HsmError. */
export async function eraseDevice(
  connector: Connector,
  present: { authKeyId: number; password: string },
): Promise<void> {
  const keys = await keysFromPassword(present.password);
  const session = await openSession({ connector, authKeyId: present.authKeyId, keys });
  try {
    await session.execute(resetDevice());
  } catch (error) {
    // The device restarts, and its answer may be lost in that.
    if (!isHsmError(error, 'outcome-unknown', 'connector-failed', 'session-lost')) throw error;
  }
  await waitForDevice(connector);
}

async function waitForDevice(connector: Connector): Promise<void> {
  const keys = await keysFromPassword(factory.password);
  for (let attempt = 1; ; attempt++) {
    try {
      await using session = await openSession({ connector, authKeyId: factory.authKeyId, keys });
      return await session.keepAlive();
    } catch (error) {
      if (attempt === attempts || !isHsmError(error)) throw error;
      await sleep(pauseMs);
    }
  }
}
