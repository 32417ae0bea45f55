/** Takes everything away that the enrolment installed, so that the machine is as it was before. Does I/O. */
import { hash } from 'node:crypto';
import { rm, rmdir } from 'node:fs/promises';
import { systemErrorCode } from '../failure.ts';
import { type FileChange, applyChanges } from './file-transaction.ts';
import { removeUntoldKrl } from './following/untold-krl.ts';
import { type HostContext, type HostPlaces, openHost, readExisting } from './host-context.ts';
import { HostError } from './host-error.ts';
import { type HostRecord, hostDirectory, hostRecordPath, readHostRecord } from './host-record.ts';
import { type ActivateOptions, activate } from './install.ts';
import { restoreChange } from './install-plan.ts';
import type { ReloadMethod } from './reload-choice.ts';
import { findReloadMethod } from './reload.ts';
import { decodeConfig, encodeConfig, withoutBlock } from './sshd-config-text.ts';

export interface RemovalOutcome {
  /** Files that were taken away or put back. */
  readonly paths: readonly string[];
  readonly remarks: readonly string[];
}

export interface RemovalOptions extends Pick<ActivateOptions, 'onStep' | 'onActivation' | 'signal'> {
  /** Discards what somebody changed in our files. */
  readonly force: boolean;
}

/** @returns undefined when nothing is installed @throws HostError; the present state stands then */
export async function removeFromHost(places: HostPlaces, options: RemovalOptions): Promise<RemovalOutcome | undefined> {
  const record = await readHostRecord(places.stateDirectory);
  if (record === undefined) {
    await removeUntoldKrl(places.stateDirectory);
    await forget(places.stateDirectory);
    return undefined;
  }
  const changes = await planRemoval(places.stateDirectory, record, options.force);
  const { remarks, isSshdTold } = await perform(places, changes, options);
  for (const directory of record.directories.toReversed()) await removeIfEmpty(directory);
  const krl = isSshdTold ? await removeUntoldKrl(places.stateDirectory) : (record.revokedKeys ?? undefined);
  await forget(places.stateDirectory);
  const own = hostRecordPath(places.stateDirectory);
  return {
    paths: [...changes.map(({ path }) => path).filter((path) => path !== own), ...(isSshdTold ? asList(krl) : [])],
    remarks: [...remarks, ...(isSshdTold ? [] : asList(krl).map(stays))],
  };
}

function asList<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value];
}

function stays(path: string): string {
  return `${path} stays: an sshd that still runs may refuse every key without it. Delete it once sshd was started anew`;
}

/** Issued certificates too: nothing of the enrolment stays in the state directory. */
async function forget(stateDirectory: string): Promise<void> {
  await rm(hostDirectory(stateDirectory), { recursive: true, force: true });
}

/** Configuration first: at no moment does it name a file that is gone. */
async function planRemoval(stateDirectory: string, record: HostRecord, force: boolean): Promise<FileChange[]> {
  const changed: string[] = [];
  const files: FileChange[] = [];
  for (const file of record.files) {
    const present = await readExisting(file.path);
    if (present !== undefined && hash('sha256', present.content, 'hex') !== file.sha256) changed.push(file.path);
    if (present !== undefined || file.original !== null) files.push(restoreChange(file));
  }
  if (changed.length > 0 && !force) throw filesChanged(changed);
  const isDropIn = ({ path }: FileChange) => path === record.dropIn.path;
  const rest = files.filter((change) => !isDropIn(change));
  const own: FileChange = { path: hostRecordPath(stateDirectory), content: null, mode: 0o600 };
  return [...(await blockRemoval(record)), ...files.filter(isDropIn), ...rest, own];
}

async function blockRemoval({ dropIn }: HostRecord): Promise<FileChange[]> {
  if (dropIn.kind !== 'block') return [];
  const present = await readExisting(dropIn.path);
  if (present === undefined) return [];
  const content = encodeConfig(withoutBlock(decodeConfig(present.content)));
  return [{ path: dropIn.path, content, mode: present.mode }];
}

interface Performed {
  readonly remarks: string[];
  /** No sshd that runs has what it read before. */
  readonly isSshdTold: boolean;
}

/** With sshd as judge; without it when it is gone or its configuration is beyond reading: then removal is what may repair it. */
async function perform(
  places: HostPlaces,
  changes: readonly FileChange[],
  options: RemovalOptions,
): Promise<Performed> {
  const context = await openOrExplain(places);
  if (typeof context === 'string') {
    const { stateDirectory } = places;
    const transaction = await applyChanges(changes, {
      journalDirectory: hostDirectory(stateDirectory),
      ...stepOption(options),
    });
    await transaction.commit();
    return { remarks: [`sshd was not asked and not reloaded: ${context}`], isSshdTold: false };
  }
  const method = await findMethod(context);
  await activate(context, changes, { ...options, certificates: [], method });
  return {
    remarks: method === undefined ? ['sshd does not run, so it was not reloaded'] : [],
    isSshdTold: true,
  };
}

function stepOption({ onStep }: RemovalOptions): Pick<RemovalOptions, 'onStep'> {
  return onStep === undefined ? {} : { onStep };
}

async function openOrExplain(places: HostPlaces): Promise<HostContext | string> {
  try {
    return await openHost(places);
  } catch (error) {
    if (error instanceof HostError && error.code !== 'other-sshd') return error.message;
    throw error;
  }
}

async function findMethod(context: HostContext): Promise<ReloadMethod | undefined> {
  try {
    return await findReloadMethod(context.settings, context.reload);
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

function filesChanged(paths: readonly string[]): HostError {
  return new HostError('files-changed', `somebody changed what the enrolment wrote: ${paths.join(', ')}`, {
    advice: 'Nothing was removed. Save what you need from there, then: countersign host remove --force',
  });
}

async function removeIfEmpty(directory: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
  }
}
