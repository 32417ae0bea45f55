/** From the options of a command to the places it works on; and what every command does first. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hostDirectory } from '../host/host-record.ts';
import { issuedDirectory } from '../host/issued-store.ts';
import type { HostPlaces } from '../host/host-context.ts';
import { recoverHost } from '../host/recovery.ts';
import { removeLeftovers } from '../state/leftovers.ts';
import { acquireLock } from '../state/lock.ts';
import { openStateDirectory, stateDirectoryPath, unusable } from '../state/state-directory.ts';
import type { PlaceOptions } from './host.ts';
import type { Progress } from './progress.ts';

export function placesOf(options: PlaceOptions): HostPlaces {
  const { sshd, sshdConfig, reload, stateDir } = options;
  return { stateDirectory: stateDirectoryPath(stateDir), sshd, sshdConfig, reload };
}

/** Takes the lock and ends what an interrupted run left. Hold the result while changing the host. @throws StateError, HostError */
export async function beginChange({ stateDirectory }: HostPlaces, progress: Progress): Promise<AsyncDisposable> {
  await openStateDirectory(stateDirectory);
  await mkdir(hostDirectory(stateDirectory), { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw unusable(hostDirectory(stateDirectory), cause);
  });
  await using stack = new AsyncDisposableStack();
  stack.use(await acquireLock(join(stateDirectory, 'lock')));
  const host = hostDirectory(stateDirectory);
  await removeLeftovers([stateDirectory, host, issuedDirectory(stateDirectory)]).catch((cause: unknown) => {
    throw unusable(stateDirectory, cause);
  });
  const remark = await recoverHost(stateDirectory);
  if (remark !== undefined) progress.note(remark);
  return stack.move();
}
