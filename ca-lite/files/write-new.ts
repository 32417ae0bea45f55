/** Files and directories that hold secrets or trust: made with their final mode, never over something that is there, on disk when done. */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes a file that must not exist yet; durable when resolved. @throws NodeJS.ErrnoException, `EEXIST` for one that does */
export async function writeNewFile(path: string, content: string | Uint8Array, mode: 0o600 | 0o644): Promise<void> {
  await using file = await open(path, 'wx', mode);
  await file.chmod(mode); // whatever the umask made of it
  await file.writeFile(content);
  await file.sync();
}

/** Replaces a file in one step: readers see the old content or the new. Durable when resolved. */
export async function replaceFile(path: string, content: string | Uint8Array, mode: 0o600 | 0o644): Promise<void> {
  const temporary = `${path}.${process.pid}.new`;
  await rm(temporary, { force: true });
  await writeNewFile(temporary, content, mode);
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}

/** Makes a directory for its owner alone, or takes an empty one that is there. False when there is something in it. */
export async function claimEmptyDirectory(path: string): Promise<boolean> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  return (await readdir(path)).length === 0;
}

/** Why a file or directory is open to others than its owner, in words for a person; undefined when it is not. */
export async function findModeFault(path: string): Promise<string | undefined> {
  const { mode, uid } = await stat(path);
  const me = process.getuid?.();
  if (me !== undefined && uid !== me && uid !== 0) return `${path} belongs to another user (uid ${uid})`;
  if ((mode & 0o077) !== 0)
    return `${path} can be read by others (mode ${(mode & 0o777).toString(8)}); run: chmod go= ${path}`;
  return undefined;
}
