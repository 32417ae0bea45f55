/** Ends what a run that was stopped in the middle left behind: files back, sshd reloaded if it runs. Does I/O. */
import { systemErrorReason } from '../failure.ts';
import { type Journal, recoverTransaction } from './file-transaction.ts';
import { HostError } from './host-error.ts';
import { hostDirectory } from './host-record.ts';
import { findReloadMethod } from './reload.ts';
import { reloadAndSettle } from './served-check.ts';
import { findSshd } from './sshd-program.ts';

/** @returns a remark when there was something to end @throws HostError `roll-back-failed` */
export async function recoverHost(stateDirectory: string): Promise<string | undefined> {
  const journal = await recover(stateDirectory);
  if (journal === undefined) return undefined;
  const put = 'An earlier run was interrupted: every file is back as it was before that run';
  try {
    await reloadAgain(journal);
    return `${put}, and sshd was reloaded.`;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return `${put}. sshd was not reloaded: ${error.message}.`;
  }
}

async function recover(stateDirectory: string): Promise<Journal | undefined> {
  try {
    return await recoverTransaction(hostDirectory(stateDirectory));
  } catch (cause) {
    throw new HostError(
      'roll-back-failed',
      `an interrupted earlier run cannot be undone: ${systemErrorReason(cause)}`,
      {
        cause,
        advice: 'Make the file system writable, then try again. sshd still runs with what it has.',
      },
    );
  }
}

/** It may have read the new files before the interruption. */
async function reloadAgain({ context }: Journal): Promise<void> {
  const sshd = await findSshd({ sshd: context.sshd, sshdConfig: context.sshdConfig });
  const settings = await sshd.readSettings();
  const method = await findReloadMethod(settings, context.reload === '' ? undefined : context.reload);
  await reloadAndSettle(settings, method);
}
