/** The host that a command works on: its sshd with its effective configuration, and our state directory. Does I/O. */
import { lstat, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode, systemErrorReason } from '../failure.ts';
import { HostError } from './host-error.ts';
import { type RecordedSshd, readHostRecord } from './host-record.ts';
import type { ExistingFile } from './install-plan.ts';
import { type ConfigText, decodeConfig } from './sshd-config-text.ts';
import { type SshdPlaces, type SshdProgram, findSshd } from './sshd-program.ts';
import type { SshdSettings } from './sshd-settings.ts';

export interface HostContext {
  readonly stateDirectory: string;
  readonly sshd: SshdProgram;
  readonly settings: SshdSettings;
  /** Value of `--reload`. */
  readonly reload: string | undefined;
  /** For the record of an enrolment. */
  readonly recorded: RecordedSshd;
}

export interface HostPlaces extends SshdPlaces {
  readonly stateDirectory: string;
  readonly reload?: string | undefined;
}

/** Where an enrolment exists, its sshd is meant unless options say otherwise. @throws HostError */
export async function openHost(places: HostPlaces): Promise<HostContext> {
  const { stateDirectory } = places;
  const known = (await readHostRecord(stateDirectory))?.sshd;
  const options = { ...givenOptions(known), ...givenOptions(places) };
  const sshd = await findSshd(options);
  if (known !== undefined && known.configPath !== sshd.configPath) throw otherSshd(known.configPath);
  const { reload } = options;
  const recorded = {
    configPath: sshd.configPath,
    sshd: options.sshd ?? null,
    sshdConfig: options.sshdConfig ?? null,
    reload: reload ?? null,
  };
  return { stateDirectory, sshd, settings: await sshd.readSettings(), reload, recorded };
}

/** Those that are set, so that spreading them leaves others alone. */
function givenOptions(places: Partial<HostPlaces> | RecordedSshd | undefined): Omit<HostPlaces, 'stateDirectory'> {
  const { sshd, sshdConfig, reload } = places ?? {};
  return {
    ...(typeof sshd === 'string' ? { sshd } : {}),
    ...(typeof sshdConfig === 'string' ? { sshdConfig } : {}),
    ...(typeof reload === 'string' ? { reload } : {}),
  };
}

function otherSshd(path: string): HostError {
  return new HostError('other-sshd', `what is installed belongs to another sshd, the one of ${path}`, {
    advice: 'Leave --sshd-config out to work on that one, or give the other sshd a --state-dir of its own.',
  });
}

/** @returns undefined when there is no such file @throws HostError `not-writable` for anything that is not a file we can read */
export async function readExisting(path: string): Promise<ExistingFile | undefined> {
  try {
    const facts = await lstat(path);
    if (!facts.isFile()) throw new HostError('not-writable', `${path} is not a regular file`);
    return { content: await readFile(path), mode: facts.mode & 0o7777 };
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT') return undefined;
    if (systemErrorCode(cause) === undefined) throw cause;
    throw new HostError('not-writable', `${path} cannot be read: ${systemErrorReason(cause)}`, { cause });
  }
}

/** The file behind a symbolic link; the path itself where there is none yet. */
export async function resolveTarget(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

/** The configuration file itself, without what it includes. */
export async function readConfigText(sshd: SshdProgram): Promise<ConfigText> {
  return decodeConfig(await readFile(sshd.configPath));
}

export function candidatePath(stateDirectory: string): string {
  return join(stateDirectory, 'host', 'candidate-sshd_config');
}
