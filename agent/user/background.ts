/**
 * The agent in a process of its own: a detached child of the same program, which reports over a channel once it listens,
 * so that the socket is there before anything is printed. Works from the sources and from the single executable alike.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { isSea } from 'node:sea';
import { AgentFailure, type AgentFailureCode } from './agent-failure.ts';

const START_TIMEOUT_MS = 30_000;

/** What the child says, once. */
export type ChildReport =
  | { readonly socket: string }
  | { readonly code: AgentFailureCode; readonly message: string; readonly advice?: string | undefined };

export interface StartedAgent {
  readonly pid: number;
  readonly socket: string;
}

/** @param agentArguments what follows `countersign agent` @throws AgentFailure */
export async function startInBackground(agentArguments: readonly string[]): Promise<StartedAgent> {
  const [program, ...leading] = ownCommand();
  const child = spawn(program, [...leading, 'agent', '--background-child', ...agentArguments], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const report = await firstReport(child);
  if ('code' in report)
    throw new AgentFailure(report.code, report.message, report.advice === undefined ? {} : { advice: report.advice });
  child.disconnect();
  child.unref();
  return { pid: child.pid ?? 0, socket: report.socket };
}

/** Called in the child, once. */
export function reportToParent(report: ChildReport): void {
  process.send?.(report, undefined, undefined, () => process.disconnect?.());
}

/** How to start this program again: Node with this script, or the executable alone. */
export function ownCommand(): [string, ...string[]] {
  if (isSea()) return [process.execPath];
  return [process.execPath, ...process.execArgv, process.argv[1] ?? ''];
}

async function firstReport(child: ChildProcess): Promise<ChildReport> {
  const { promise, resolve, reject } = Promise.withResolvers<ChildReport>();
  const fail = (reason: string): void => {
    child.kill();
    reject(
      new AgentFailure('agent-start', `the agent did not start: ${reason}`, {
        advice: 'Try it in the foreground: countersign agent -D',
      }),
    );
  };
  const timer = setTimeout(() => fail('it took too long'), START_TIMEOUT_MS);
  child.once('message', (message) => resolve(message as ChildReport));
  child.once('error', () => fail('the program could not be run'));
  child.once('exit', (status) => fail(`it ended with status ${status ?? 'none'}`));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    child.removeAllListeners();
  }
}
