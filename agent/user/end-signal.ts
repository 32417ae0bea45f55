/**
 * When the agent ends: SIGTERM, SIGHUP, SIGINT, or the end of the process it serves. SIGUSR1 removes all keys, as in
 * OpenSSH 10.1.
 */
import type { AgentState } from './agent-state.ts';

/** By default SIGUSR1 opens Node's debugger to every user of the machine: to be called before there is any key. */
export function closeDebuggerDoor(): void {
  process.on('SIGUSR1', () => undefined);
}

const PARENT_CHECK_MS = 5000;

/** @param parentPid end when this process is no longer our parent */
export function endSignal(agent: AgentState, parentPid?: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.on('SIGUSR1', () => agent.store.clear());
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.once(signal, () => resolve());
  if (parentPid !== undefined) {
    const timer = setInterval(() => process.ppid === parentPid || resolve(), PARENT_CHECK_MS);
    void promise.then(() => clearInterval(timer));
  }
  return promise;
}
