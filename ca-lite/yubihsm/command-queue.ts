/**
 * The queue in front of the devices: users before hosts before background work, bounded, each waiter with its own
 * deadline. It holds jobs and tells how long they will take; who runs them is for `device-pool.ts`.
 *
 * Each priority has its own bound, so that ten thousand hosts that come back at once do not keep one user out.
 */
import { HsmError, HsmOverloadedError } from './errors.ts';

/** Who waits. */
export type Priority = (typeof priorities)[number];

/** All priorities, the most urgent first. */
export const priorities = ['user', 'host', 'background'] as const;

/** How much of a new measurement goes into the average time of a command. */
const smoothing = 0.2;

/** A job in the queue. */
export interface Job<T> {
  readonly work: T;
  readonly priority: Priority;
  /** How often the work was sent to a device. */
  attempts: number;
  resolve(value: unknown): void;
  reject(error: unknown): void;
  readonly settled: boolean;
}

/** The bounds of a queue. */
export interface QueueOptions {
  /** Jobs that may wait in each priority. */
  maxWaiting: number;
  /** What a job is taken to need until one was measured, in milliseconds. */
  expectedMs?: number;
}

/** A bounded priority queue whose jobs carry promises. */
export class CommandQueue<T> {
  readonly #waiting: Record<Priority, Set<Job<T>>> = { user: new Set(), host: new Set(), background: new Set() };
  readonly #maxWaiting: number;
  readonly #takers: (() => void)[] = [];
  #averageMs: number;
  #closed: HsmError | undefined;
  /** How many devices share the work at present. */
  workers = 1;

  constructor(options: QueueOptions) {
    this.#maxWaiting = options.maxWaiting;
    this.#averageMs = options.expectedMs ?? 150;
  }

  /** Jobs that wait, in all priorities or in one. */
  length(priority?: Priority): number {
    if (priority !== undefined) return this.#waiting[priority].size;
    return priorities.reduce((sum, each) => sum + this.#waiting[each].size, 0);
  }

  /** Seconds in which a job of this priority that comes now would be through. */
  drainSeconds(priority: Priority = 'background'): number {
    const ahead = priorities.slice(0, priorities.indexOf(priority) + 1);
    const jobs = ahead.reduce((sum, each) => sum + this.#waiting[each].size, 1);
    return (jobs * this.#averageMs) / 1000 / Math.max(1, this.workers);
  }

  /** Tells how long a job took, for the drain time. */
  measured(ms: number): void {
    this.#averageMs += smoothing * (ms - this.#averageMs);
  }

  /**
   * Adds a job and waits for its result. Throws {@link HsmOverloadedError} at once when the priority is full, and
   * {@link HsmError} `unavailable` when the signal comes first; a job that is under way then is not stopped.
   */
  add(work: T, priority: Priority, signal?: AbortSignal): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#closed);
    if (signal?.aborted) return Promise.reject(expired(signal));
    const waiting = this.#waiting[priority];
    if (waiting.size >= this.#maxWaiting) return Promise.reject(this.#overloaded(priority));
    return new Promise((resolve, reject) => {
      const job = newJob(work, priority, resolve, reject, () => signal?.removeEventListener('abort', abort));
      const abort = (): void => {
        waiting.delete(job);
        job.reject(expired(signal));
      };
      signal?.addEventListener('abort', abort, { once: true });
      waiting.add(job);
      this.#takers.shift()?.();
    });
  }

  #overloaded(priority: Priority): HsmOverloadedError {
    return new HsmOverloadedError(Math.min(3600, Math.max(1, Math.ceil(this.drainSeconds(priority)))));
  }

  /** Puts a job back where it is taken next; nobody who came later of its priority passes it. */
  putBack(job: Job<T>): void {
    if (job.settled) return;
    if (this.#closed) return job.reject(this.#closed);
    const later = [...this.#waiting[job.priority]];
    this.#waiting[job.priority].clear();
    for (const each of [job, ...later]) this.#waiting[job.priority].add(each);
    this.#takers.shift()?.();
  }

  /** Takes the next job; undefined when there is none. */
  take(): Job<T> | undefined {
    for (const priority of priorities) {
      for (const job of this.#waiting[priority]) {
        this.#waiting[priority].delete(job);
        if (!job.settled) return job;
      }
    }
    return undefined;
  }

  /** Waits until a job may be there, or the signal comes. One waiter is woken for each job. */
  async ready(signal: AbortSignal): Promise<void> {
    if (this.length() > 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        const index = this.#takers.indexOf(wake);
        if (index >= 0) this.#takers.splice(index, 1);
        resolve();
      };
      signal.addEventListener('abort', wake, { once: true });
      this.#takers.push(wake);
    });
  }

  /** Refuses every job that waits. */
  rejectAll(error: HsmError): void {
    for (let job = this.take(); job !== undefined; job = this.take()) job.reject(error);
  }

  /** Refuses every job that waits, and every one that comes. */
  close(): void {
    this.#closed = new HsmError('unavailable', 'the signer is closed');
    this.rejectAll(this.#closed);
  }
}

function newJob<T>(
  work: T,
  priority: Priority,
  resolve: (value: unknown) => void,
  reject: (error: unknown) => void,
  release: () => void,
): Job<T> {
  let settled = false;
  const settle = (): void => {
    settled = true;
    release();
  };
  return {
    work,
    priority,
    attempts: 0,
    get settled() {
      return settled;
    },
    resolve: (value) => {
      settle();
      resolve(value);
    },
    reject: (error) => {
      settle();
      reject(error);
    },
  };
}

function expired(signal: AbortSignal | undefined): HsmError {
  return new HsmError('unavailable', 'the signer did not get to it before the deadline', { cause: signal?.reason });
}
