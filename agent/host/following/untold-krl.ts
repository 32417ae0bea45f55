/** Takes the KRL for sshd away where no sshd is told of it. Does I/O. */
import { readInterrupted } from '../file-transaction.ts';
import { hostDirectory, readHostRecord } from '../host-record.ts';
import { readFollowing } from './following-record.ts';
import { removeKrl } from './krl-files.ts';

/** To be called when no sshd has it configured, or has read it so. @returns where it was; undefined when there was none */
export async function removeUntoldKrl(stateDirectory: string): Promise<string | undefined> {
  const { krlPath } = await readFollowing(stateDirectory);
  if (krlPath === null) return undefined;
  await removeKrl(krlPath);
  return krlPath;
}

/** After an enrolment that came to nothing: every file is as it was. */
export async function removeUnusedKrl(stateDirectory: string): Promise<void> {
  if ((await readHostRecord(stateDirectory)) !== undefined) return;
  if ((await readInterrupted(hostDirectory(stateDirectory))) !== undefined) return; // sshd may be told of it still
  await removeUntoldKrl(stateDirectory);
}
