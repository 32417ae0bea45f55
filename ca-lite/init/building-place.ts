/**
 * The directory in which a CA is built, beside the one that it becomes: NAME.XXXXXXXXXXXX.init. Its builder holds a lock in it, which the operating
 * system lets go of when the process dies, however it dies: so the next init of the same name can tell what a killed one left, and removes it. A
 * directory whose builder lives is left alone; one without a lock, of which that cannot be told, is only named. Does I/O.
 */
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isSystemError } from '../files/system-error.ts';
import { syncDirectory, writeNewFile } from '../files/write-new.ts';
import { StoreError } from '../store/errors.ts';
import { Connection } from '../store/sqlite-connection.ts';

const LOCK = 'init-lock';

export interface BuildingPlace extends AsyncDisposable {
  readonly path: string;
  /** Puts what was built in the place of `target`, which must be missing or empty. */
  finish(): Promise<void>;
}

/** Disposing removes it, unless it was finished. @param target absolute @throws StoreError, and faults of the system */
export async function makeBuildingPlace(target: string): Promise<BuildingPlace> {
  await using stack = new AsyncDisposableStack();
  const path = `${target}.${randomBytes(6).toString('hex')}.init`;
  await makeDirectory(path);
  stack.defer(async () => rm(path, { recursive: true, force: true }));
  const lock = join(path, LOCK);
  await writeNewFile(lock, '', 0o600);
  stack.use(hold(lock));
  const owned = stack.move();
  return {
    path,
    finish: async () => {
      await rm(lock);
      await rename(path, target); // an empty directory in its place is replaced, a full one is not
      await syncDirectory(dirname(target));
    },
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

export interface Leftovers {
  /** Of processes that died. */
  readonly removed: readonly string[];
  /** Whose process may live, or that could not be removed. */
  readonly unclear: readonly string[];
}

/** What earlier inits of the same target left. @param target absolute */
export async function removeLeftovers(target: string): Promise<Leftovers> {
  const [removed, unclear]: [string[], string[]] = [[], []];
  for (const path of await findLeftovers(target)) {
    const fate = await removeUnlessAlive(path);
    if (fate === 'removed') removed.push(path);
    if (fate === 'unclear') unclear.push(path);
  }
  return { removed, unclear };
}

async function findLeftovers(target: string): Promise<string[]> {
  const parent = dirname(target);
  const names = await readdir(parent).catch(() => []); // what cannot be read is told of when it is needed
  const beginning = `${basename(target)}.`;
  return names
    .filter((name) => name.startsWith(beginning) && /^[0-9a-f]{12}\.init$/.test(name.slice(beginning.length)))
    .map((name) => join(parent, name));
}

async function removeUnlessAlive(path: string): Promise<'removed' | 'unclear' | 'alive'> {
  try {
    if (!(await isOwn(path)) || !(await lstat(join(path, LOCK))).isFile()) return 'unclear';
    using _held = hold(join(path, LOCK)); // nobody else removes it meanwhile
    await rm(path, { recursive: true });
    return 'removed';
  } catch (error) {
    if (error instanceof StoreError && error.code === 'store-busy') return 'alive';
    if (isSystemError(error) || error instanceof StoreError) return 'unclear';
    throw error;
  }
}

/** A directory, no link to one, and of this user. */
async function isOwn(path: string): Promise<boolean> {
  const facts = await lstat(path);
  return facts.isDirectory() && facts.uid === process.getuid?.();
}

/** A write transaction on an empty database, as servers lock their store; nothing is ever written, and no journal lies beside it. @throws StoreError `store-busy` while another process has it */
function hold(path: string): Disposable {
  const connection = new Connection(path, 'lock');
  try {
    connection.exec('PRAGMA journal_mode = MEMORY; BEGIN IMMEDIATE');
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Not recursive at the end: Node's recursive mkdir never returns where a file system refuses new entries as not found (/proc). */
async function makeDirectory(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await mkdir(path, { mode: 0o700 });
}
