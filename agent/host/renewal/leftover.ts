/** Half-written files that a power cut left in the state directory: each cut would leave one more. Does I/O. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../failure.ts';
import { hostDirectory } from '../host-record.ts';

/** As `writeDurably` names what it has not renamed yet, of the files that a renewal writes by it. */
const halfWritten = /^\.(renewal\.json|[0-9a-f]{32}\.cert)\.[0-9a-f]{12}\.new$/;

/** To be called with the lock held: nobody else writes there. */
export async function removeLeftovers(stateDirectory: string): Promise<void> {
  const host = hostDirectory(stateDirectory);
  for (const directory of [host, join(host, 'issued')]) {
    for (const name of await namesIn(directory)) {
      if (halfWritten.test(name)) await rm(join(directory, name), { force: true });
    }
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return [];
  }
}
