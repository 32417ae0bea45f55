/** Runs the command that an agent was started for, on our own terminal, and ends as it ends. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { systemErrorReason } from '../failure.ts';
import { AgentFailure } from './agent-failure.ts';

/** The exit status; 128 and the signal's number when a signal ended it. @throws AgentFailure when it cannot be run */
export async function runCommand(
  command: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<number> {
  const [program = '', ...programArguments] = command;
  const child = spawn(program, programArguments, { stdio: 'inherit', env: { ...process.env, ...variables } });
  // keys on the terminal reach the command by themselves; what is sent to us alone is passed on
  const ignore = (): void => undefined;
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', ignore).on('SIGQUIT', ignore).on('SIGTERM', pass).on('SIGHUP', pass);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once('error', (cause) => {
    reject(new AgentFailure('agent-options', `${program} could not be run: ${systemErrorReason(cause)}`, { cause }));
  });
  child.once('close', (status, signal) => resolve(status ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  return promise;
}
