/** What wakes the daemon: a time that it set itself, or anybody who rings. A ring while it is awake is kept for the next wait. */

/** Timers of Node hold 31 bits of milliseconds; a day is enough. */
const MAX_WAIT_MS = 24 * 3600 * 1000;

export class Alarm {
  #rung: string | undefined;
  #wake: ((reason: string) => void) | undefined;

  ring(reason: string): void {
    if (this.#wake === undefined) this.#rung ??= reason;
    else this.#wake(reason);
  }

  /** The reason of the ring, or `due` after `milliseconds`, at most a day. An abort resolves too. */
  async wait(milliseconds: number, signal: AbortSignal): Promise<string> {
    const rung = this.#rung;
    this.#rung = undefined;
    if (rung !== undefined || signal.aborted) return rung ?? 'stop';
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#wake = resolve;
    const timer = setTimeout(() => resolve('due'), Math.min(Math.max(milliseconds, 0), MAX_WAIT_MS));
    const stop = () => resolve('stop');
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await promise;
    } finally {
      this.#wake = undefined;
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }
}
