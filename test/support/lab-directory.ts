/** The temporary directory of a laboratory. Its name has the process id of its owner: what a killed test run left, the next takes away. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'countersign-lab-';

export async function makeLabDirectory(): Promise<string> {
  const names = await readdir(tmpdir());
  await Promise.all(names.filter(isAbandoned).map(async (name) => removeIfOurs(join(tmpdir(), name))));
  return mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
}

/** False too for a process id that somebody else has now: that is found another time. */
export function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

function isAbandoned(name: string): boolean {
  const owner = name.startsWith(PREFIX) ? /^(\d+)-/.exec(name.slice(PREFIX.length))?.[1] : undefined;
  return owner !== undefined && !isAlive(Number(owner));
}

async function removeIfOurs(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true }).catch(() => undefined); // of another user
}
