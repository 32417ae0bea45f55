/**
 * What may be sent to a device again after a session was lost. Pure.
 *
 * A session ends in three ways. The device says that it does not know it: the command was not executed, and may be sent
 * again. The connection broke: the device may have executed it; reading again does no harm, a second signature over the
 * same bytes does none either, a second change might. A MAC was wrong, on either side: somebody may be changing messages,
 * and a signature must not be handed out once more on the word of an unauthenticated message.
 */
import type { Effect } from './commands/command.ts';
import { type HsmErrorCode, isHsmError } from './errors.ts';

/** How often a command is sent at most: the first time, and once more. */
export const maxAttempts = 2;

const notExecuted: readonly HsmErrorCode[] = ['session-lost', 'connector-unreachable'];
const connectionBroke: readonly HsmErrorCode[] = ['outcome-unknown', 'connector-failed', 'connector-no-device'];
const suspicious: readonly HsmErrorCode[] = ['answer-mac-mismatch', 'answer-malformed', 'message-mac-refused'];

/** Says whether a command of this effect may be sent once more after this error. */
export function mayRepeat(effect: Effect, error: unknown): boolean {
  if (isHsmError(error, ...notExecuted)) return true;
  if (isHsmError(error, ...connectionBroke)) return effect !== 'change';
  if (isHsmError(error, ...suspicious)) return effect === 'read';
  return false;
}

/** Says whether opening a session may succeed later without anybody changing a setting. */
export function mayRecover(error: unknown): boolean {
  return isHsmError(
    error,
    'connector-unreachable',
    'connector-failed',
    'connector-no-device',
    'outcome-unknown',
    'session-lost',
    'answer-mac-mismatch',
    'message-mac-refused',
    'answer-malformed',
    'device-sessions-full',
    'device-session-failed',
    'device-command-unexecuted',
  );
}
