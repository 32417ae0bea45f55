/** Ctrl-C and SIGTERM as an abort with a reason, so that work in progress ends in order (an install rolls back). */
import { Failure } from '../failure.ts';

export class InterruptedError extends Failure<'interrupted'> {
  override readonly name = 'InterruptedError';
}

/** Aborts `signal` on the first SIGINT, SIGTERM or SIGHUP; disposing gives the signals their usual meaning back. */
export function catchInterrupts(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals) =>
    controller.abort(
      new InterruptedError('interrupted', `stopped by ${name}`, { advice: 'Run the command again to go on.' }),
    );
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, stop);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of names) process.off(name, stop);
    },
  };
}
