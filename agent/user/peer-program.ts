/** The name of the program at the other end of a connection, for the person who is asked; a hint, not a proof. */
import { readFileSync } from 'node:fs';
import type { QuestionSubject } from './confirmation-queue.ts';
import { displayText } from './identity.ts';

/** Undefined where the platform does not tell. */
export function programOf(pid: number): QuestionSubject['program'] {
  if (pid <= 0 || process.platform !== 'linux') return undefined;
  try {
    return { pid, name: displayText(readFileSync(`/proc/${pid}/comm`)) };
  } catch {
    return undefined;
  }
}
