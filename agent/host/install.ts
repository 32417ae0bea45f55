/**
 * Installs certificates into sshd so that it never stops answering: everything is checked before it is in place, what fails
 * later is put back, and the machine is left with the new state served or with the old one. Does I/O; `install-plan.ts` decides.
 */
import { rm } from 'node:fs/promises';
import type { Certificate } from '#openssh/certificate.ts';
import { Failure, isFailure, systemErrorReason } from '../failure.ts';
import { writeFlushed } from '../state/durable-file.ts';
import { type FileChange, type FileTransaction, type OnStep, applyChanges } from './file-transaction.ts';
import { type HostContext, candidatePath } from './host-context.ts';
import { HostError } from './host-error.ts';
import { hostDirectory } from './host-record.ts';
import type { ReloadMethod } from './reload-choice.ts';
import { reloadAndSettle, waitUntilAnswering, waitUntilServed } from './served-check.ts';

const UNTOUCHED = 'Every file is as it was, and sshd was not touched.';
const RESTORED = 'Every file is as it was, and sshd answers as before.';
const RESTORED_UNLOADED =
  'Every file is as it was, and sshd answers. It could not be reloaded: until it is, it may still use what it has read.';

/** What happens around the file changes, in order. */
export type ActivationStep = 'validate' | 'reload' | 'check';

export interface ActivateOptions {
  /** Told before each step of files and of activation; may throw, and everything goes back. */
  readonly onStep?: OnStep;
  readonly onActivation?: (step: ActivationStep) => void | Promise<void>;
  readonly signal?: AbortSignal;
  /** Must be served in the end; none: sshd must answer. */
  readonly certificates: readonly Certificate[];
  /** Undefined when no sshd runs: it is then neither reloaded nor asked. */
  readonly method: ReloadMethod | undefined;
}

/** @throws HostError `sshd-config-rejected`: nothing was changed */
export async function checkCandidate(context: HostContext, config: Uint8Array): Promise<void> {
  const path = candidatePath(context.stateDirectory);
  try {
    await rm(path, { force: true });
    await writeFlushed(path, config, 0o600);
    const fault = await context.sshd.findConfigFault(path);
    if (fault !== undefined) throw rejected(fault, 'Nothing was changed.');
  } finally {
    await rm(path, { force: true });
  }
}

/**
 * Writes `changes`, has sshd check its configuration, reloads it and looks at what it serves. On failure every file is back, sshd
 * has been reloaded with the old state where it had seen the new one, and the error says so.
 * @throws HostError, Failure
 */
export async function activate(
  context: HostContext,
  changes: readonly FileChange[],
  options: ActivateOptions,
): Promise<void> {
  const transaction = await write(context, changes, options);
  let seen = false;
  try {
    await options.onActivation?.('validate');
    const fault = await context.sshd.findConfigFault();
    if (fault !== undefined) throw rejected(fault);
    options.signal?.throwIfAborted();
    await options.onActivation?.('reload');
    seen = true;
    await reload(context, options.method);
    options.signal?.throwIfAborted();
    await options.onActivation?.('check');
    if (options.method !== undefined) await checkResult(context, options);
    options.signal?.throwIfAborted();
    await transaction.commit();
  } catch (error) {
    throw await goBack(context, transaction, seen, options, error);
  }
}

async function write(
  { stateDirectory, sshd, reload = '' }: HostContext,
  changes: readonly FileChange[],
  { onStep = () => {}, signal }: ActivateOptions,
): Promise<FileTransaction> {
  try {
    return await applyChanges(changes, {
      journalDirectory: hostDirectory(stateDirectory),
      context: { sshd: sshd.path, sshdConfig: sshd.configPath, reload },
      onStep: async (step, path) => {
        signal?.throwIfAborted();
        await onStep(step, path);
      },
    });
  } catch (cause) {
    if (isFailure(cause)) throw cause;
    throw new HostError('change-failed', `the files could not be written: ${systemErrorReason(cause)}`, {
      cause,
      advice: UNTOUCHED,
    });
  }
}

async function reload({ settings }: HostContext, method: ReloadMethod | undefined): Promise<void> {
  if (method !== undefined) await reloadAndSettle(settings, method);
}

async function checkResult({ settings }: HostContext, { certificates }: ActivateOptions): Promise<void> {
  await waitUntilServed(settings, certificates);
  if (certificates.length === 0 && !(await waitUntilAnswering(settings))) {
    throw new HostError('sshd-not-answering', 'sshd does not answer after its reload');
  }
}

/** @returns the error to throw: the cause with a word on what was done about it, or that putting back failed */
async function goBack(
  context: HostContext,
  transaction: FileTransaction,
  seen: boolean,
  options: ActivateOptions,
  cause: unknown,
): Promise<unknown> {
  try {
    await transaction.rollBack();
  } catch (error) {
    return rollBackFailed(cause, systemErrorReason(error));
  }
  if (!seen || options.method === undefined) return explain(cause, UNTOUCHED);
  const reloaded = await reload(context, options.method).then(
    () => true,
    () => false, // the files are what counts; whether sshd needs it is told below
  );
  if (!(await waitUntilAnswering(context.settings))) return rollBackFailed(cause, 'sshd does not answer');
  return explain(cause, reloaded ? RESTORED : RESTORED_UNLOADED);
}

function explain(cause: unknown, done: string): unknown {
  if (!isFailure(cause)) return new HostError('change-failed', systemErrorReason(cause), { cause, advice: done });
  const advice = cause.advice === undefined ? done : `${done}\n${cause.advice}`;
  if (cause instanceof HostError) return new HostError(cause.code, cause.message, { cause, advice });
  return new Failure(cause.code, cause.message, { cause, advice });
}

function rollBackFailed(cause: unknown, why: string): HostError {
  const first = systemErrorReason(cause);
  return new HostError('roll-back-failed', `the change failed (${first}), and going back failed too (${why})`, {
    cause,
    advice:
      'Keep your present connection to this machine open. Check sshd by hand: sshd -t, then start or reload it. Then run `countersign host remove`, which puts the files back, or `countersign host enroll` again.',
  });
}

function rejected(fault: string, done?: string): HostError {
  const message = `sshd does not accept the configuration: ${fault}`;
  return new HostError('sshd-config-rejected', message, done === undefined ? {} : { advice: done });
}
