/** A directory as one comparable value: every path with type, mode, owner, content and, for files, the time of the last change. */
import { hash } from 'node:crypto';
import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** One line for each path, sorted; two trees are the same exactly when their lines are. Times of directories are left out. */
export async function readTree(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true });
  return Promise.all(
    ['.', ...names.toSorted()].map(async (name) => `${name}: ${await describe(join(directory, name))}`),
  );
}

async function describe(path: string): Promise<string> {
  const facts = await lstat(path);
  const { mode, uid, gid, mtimeMs } = facts;
  const owner = `${(mode & 0o7777).toString(8)} ${uid}:${gid}`;
  if (facts.isDirectory()) return `directory ${owner}`;
  if (facts.isSymbolicLink()) return `link ${owner} to ${await readlink(path)}`;
  if (!facts.isFile()) return `other ${owner}`;
  return `file ${owner} ${mtimeMs} ${hash('sha256', await readFile(path), 'hex')}`;
}
