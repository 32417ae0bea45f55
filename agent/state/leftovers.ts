/** Files that a killed run was about to rename or remove: each power cut would leave one more. Does I/O. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../failure.ts';

/** As `siblingPath` names what `writeDurably` has not renamed yet. */
const halfWritten = /^\..+\.[0-9a-f]{12}\.new$/;

/**
 * Of directories that only the holder of the lock writes to, or of one file of ours elsewhere; to be called with the lock held. Missing
 * directories have none.
 * @param fileName without one: of every file
 */
export async function removeLeftovers(directories: readonly string[], fileName = ''): Promise<void> {
  const beginning = fileName === '' ? '.' : `.${fileName}.`;
  for (const directory of directories) {
    const names = await namesIn(directory);
    const found = names.filter((name) => name.startsWith(beginning) && halfWritten.test(name));
    for (const name of found) await rm(join(directory, name), { force: true });
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
