/**
 * Asking through the program in SSH_ASKPASS, as ssh-agent does (`SSH_ASKPASS_PROMPT=confirm`, ssh(1)): it ends with 0 and
 * prints nothing or "yes" for a yes. Used beside the control API: whichever answers first counts.
 */
import { spawn } from 'node:child_process';
import type { ControlQuestion } from '#protocol/control.ts';
import type { Consent } from './confirmation-queue.ts';
import { promptText } from './prompt-text.ts';
import { readableBytes } from './readable-bytes.ts';

const MAX_ANSWER_LENGTH = 1024;

/** The program to ask with, or undefined when the environment names none that could be shown (ssh(1), SSH_ASKPASS_REQUIRE). */
export function askpassProgram(environment: NodeJS.ProcessEnv): string | undefined {
  const { SSH_ASKPASS, SSH_ASKPASS_REQUIRE, DISPLAY, WAYLAND_DISPLAY } = environment;
  if (SSH_ASKPASS === undefined || SSH_ASKPASS === '' || SSH_ASKPASS_REQUIRE === 'never') return undefined;
  const hasDisplay = [DISPLAY, WAYLAND_DISPLAY].some((each) => each !== undefined && each !== '');
  return hasDisplay || SSH_ASKPASS_REQUIRE === 'force' ? SSH_ASKPASS : undefined;
}

/** Undefined when the program could not be run: then it has said nothing. */
export async function askWithProgram(
  program: string,
  question: ControlQuestion,
  signal: AbortSignal,
): Promise<Consent | undefined> {
  const child = spawn(program, [promptText(question)], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, SSH_ASKPASS_PROMPT: 'confirm' },
    signal,
  });
  const ended = new Promise<number | undefined>((resolve) => {
    child.once('error', () => resolve(undefined));
    child.once('close', (code) => resolve(code ?? 1));
  });
  const output = readableBytes(child.stdout, MAX_ANSWER_LENGTH).catch(() => undefined);
  const status = await ended;
  if (status === undefined) return undefined;
  const answer = Buffer.from((await output) ?? Buffer.from('no'))
    .toString('utf8')
    .trim()
    .toLowerCase();
  return status === 0 && (answer === '' || answer === 'yes') ? 'allowed' : 'denied';
}
