/**
 * Changes to several files that happen all or not at all, also when the machine loses power or the process is killed in the
 * middle. A journal says what is about to change; each old file stays beside its place as a hard link until the end, so that going
 * back is a rename: it needs no free space, and brings back the same inode with its times, owner and attributes.
 *
 * Order: journal on disk; then for each file old version linked aside, new version written and flushed, renamed into place;
 * directories flushed. `commit` is one rename of the journal. Whoever finds an uncommitted journal goes back.
 */
import { copyFile, link, lstat, mkdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Static, Type } from 'typebox';
import { systemErrorCode } from '../failure.ts';
import { flushDirectory, siblingPath, writeDurably, writeFlushed } from '../state/durable-file.ts';
import { formatJson, readJsonFile } from '../state/json-file.ts';

export interface FileChange {
  /** Absolute, not a symbolic link. */
  readonly path: string;
  /** New content; null takes the file away. */
  readonly content: Uint8Array | string | null;
  /** For a file that does not exist yet. An existing one keeps its mode and owner. */
  readonly mode: number;
}

const Entry = Type.Object({
  path: Type.String(),
  /** Where the new version is written before it is renamed into place; null when the file is taken away. */
  next: Type.Union([Type.String(), Type.Null()]),
  /** Where the old version is kept; null when there was none. */
  previous: Type.Union([Type.String(), Type.Null()]),
});

const Journal = Type.Object({
  version: Type.Literal(1),
  entries: Type.Array(Entry),
  /** Directories that did not exist, outermost first. */
  directories: Type.Array(Type.String()),
  /** What the caller wants to know at recovery. */
  context: Type.Record(Type.String(), Type.String()),
});
type Entry = Static<typeof Entry>;
export type Journal = Static<typeof Journal>;

/** What is about to happen next; for progress, and for tests that stop here. */
export type TransactionStep = 'journal' | 'previous' | 'next' | 'rename' | 'flush' | 'commit' | 'clean';
export type OnStep = (step: TransactionStep, path: string) => void | Promise<void>;

export interface TransactionOptions {
  /** Directory of the journal; exists, and is on a file system that survives a restart. */
  readonly journalDirectory: string;
  readonly context?: Readonly<Record<string, string>>;
  readonly onStep?: OnStep;
}

function journalPath(directory: string): string {
  return join(directory, 'transaction.json');
}

function committedPath(directory: string): string {
  return join(directory, 'transaction.committed.json');
}

export class FileTransaction {
  readonly #directory: string;
  readonly #journal: Journal;
  readonly #onStep: OnStep;

  constructor(directory: string, journal: Journal, onStep: OnStep = () => {}) {
    this.#directory = directory;
    this.#journal = journal;
    this.#onStep = onStep;
  }

  /**
   * From here on the changes stay. What cannot be cleaned up now is cleaned by `recoverTransaction`.
   * @throws system errors when the changes do not stay: roll back then
   */
  async commit(): Promise<void> {
    await this.#onStep('commit', journalPath(this.#directory));
    await rename(journalPath(this.#directory), committedPath(this.#directory));
    try {
      await flushDirectory(this.#directory);
      await this.#onStep('clean', committedPath(this.#directory));
      await finishCommitted(this.#directory, this.#journal);
    } catch (error) {
      if (systemErrorCode(error) === undefined) throw error;
    }
  }

  /** Brings every file back. @throws system errors when that is impossible; the journal stays then */
  async rollBack(): Promise<void> {
    await restore(this.#journal);
    await rm(journalPath(this.#directory), { force: true });
    await flushDirectory(this.#directory);
  }
}

/**
 * Writes all changes. On any failure everything is back as it was, and the failure is thrown.
 * The result must be committed or rolled back.
 */
export async function applyChanges(
  changes: readonly FileChange[],
  { journalDirectory, context = {}, onStep = () => {} }: TransactionOptions,
): Promise<FileTransaction> {
  const journal = await planJournal(changes, context);
  const transaction = new FileTransaction(journalDirectory, journal, onStep);
  await onStep('journal', journalPath(journalDirectory));
  await writeDurably(journalPath(journalDirectory), formatJson(Journal, journal), 0o600);
  try {
    for (const directory of journal.directories) await makeDirectory(directory);
    for (const [index, entry] of journal.entries.entries()) await applyOne(entry, changes[index], onStep);
    await flushParents(journal, onStep);
    return transaction;
  } catch (error) {
    await transaction.rollBack();
    throw error;
  }
}

/** The journal of a run that was stopped in the middle; undefined when there is none. */
export async function readInterrupted(journalDirectory: string): Promise<Journal | undefined> {
  return readJsonFile(journalPath(journalDirectory), Journal);
}

/**
 * Ends what an earlier run left: goes back from an uncommitted change, cleans up after a committed one. Safe to repeat.
 * @returns the journal that was gone back from; undefined when no file changed
 */
export async function recoverTransaction(journalDirectory: string): Promise<Journal | undefined> {
  const committed = await readJsonFile(committedPath(journalDirectory), Journal);
  if (committed !== undefined) await finishCommitted(journalDirectory, committed);
  const interrupted = await readInterrupted(journalDirectory);
  if (interrupted !== undefined) await new FileTransaction(journalDirectory, interrupted).rollBack();
  return interrupted;
}

async function planJournal(
  changes: readonly FileChange[],
  context: Readonly<Record<string, string>>,
): Promise<Journal> {
  const entries = await Promise.all(changes.map(planEntry));
  const parents = new Set(changes.filter(({ content }) => content !== null).map(({ path }) => dirname(path)));
  const missing = await Promise.all([...parents].map(missingDirectories));
  return { version: 1, entries, directories: [...new Set(missing.flat())].toSorted(), context: { ...context } };
}

async function planEntry({ path, content }: FileChange): Promise<Entry> {
  const next = content === null ? null : siblingPath(path, 'new');
  return { path, next, previous: (await exists(path)) ? siblingPath(path, 'old') : null };
}

/** Those of `path` and the directories above it that do not exist, outermost first. */
export async function missingDirectories(path: string): Promise<string[]> {
  return (await exists(path)) ? [] : [...(await missingDirectories(dirname(path))), path];
}

async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { mode: 0o755 });
  await flushDirectory(dirname(path));
}

async function applyOne(entry: Entry, change: FileChange | undefined, onStep: OnStep): Promise<void> {
  if (change === undefined) throw new TypeError('more entries than changes');
  if (entry.previous !== null) {
    await onStep('previous', entry.path);
    await keepAside(entry.path, entry.previous);
  }
  if (entry.next !== null && change.content !== null) {
    await onStep('next', entry.path);
    await writeNext(entry.path, entry.next, change.content, change.mode);
  }
  await onStep('rename', entry.path);
  if (entry.next !== null) await rename(entry.next, entry.path);
  else await rm(entry.path, { force: true });
}

/** A hard link; a copy on the few file systems that have none. */
async function keepAside(path: string, aside: string): Promise<void> {
  try {
    await link(path, aside);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS'].includes(systemErrorCode(error) ?? '')) throw error;
    await copyFile(path, aside);
  }
  await flushDirectory(dirname(path));
}

/** With mode and owner of the file that it replaces. */
async function writeNext(path: string, next: string, content: Uint8Array | string, mode: number): Promise<void> {
  const old = await lstat(path).catch(() => undefined);
  await writeFlushed(next, content, old === undefined ? mode : old.mode & 0o7777, old);
}

async function flushParents(journal: Journal, onStep: OnStep): Promise<void> {
  for (const directory of new Set(journal.entries.map(({ path }) => dirname(path)))) {
    await onStep('flush', directory);
    await flushDirectory(directory);
  }
}

async function restore({ entries, directories }: Journal): Promise<void> {
  for (const { path, next, previous } of entries.toReversed()) {
    if (next !== null) await rm(next, { force: true });
    if (previous === null) await rm(path, { force: true });
    else await putBack(previous, path);
  }
  for (const directory of directories.toReversed()) await removeIfEmpty(directory);
  for (const directory of new Set(entries.map(({ path }) => dirname(path)))) await flushIfThere(directory);
}

/** Without a kept version the file was not touched. Renaming one link over another of the same file does nothing (rename(2)). */
async function putBack(previous: string, path: string): Promise<void> {
  if (!(await exists(previous))) return;
  await rename(previous, path);
  await rm(previous, { force: true });
}

async function finishCommitted(journalDirectory: string, journal: Journal): Promise<void> {
  for (const { previous } of journal.entries) {
    if (previous !== null) await rm(previous, { force: true });
  }
  await rm(committedPath(journalDirectory), { force: true });
}

async function removeIfEmpty(directory: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(systemErrorCode(error) ?? '')) throw error;
  }
}

async function flushIfThere(directory: string): Promise<void> {
  if (await exists(directory)) await flushDirectory(directory);
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
