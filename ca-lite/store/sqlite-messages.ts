/** What passes between the main thread and the store's worker threads. Plain data only: errors travel as faults. */
import type { StoreFault } from './errors.ts';
import type { Reply } from './sqlite-group.ts';
import type { WriterOptions } from './sqlite-open.ts';
import type { Operation } from './sqlite-operations.ts';

/** What a worker is started for, as its `workerData`. */
export type WorkerTask =
  | { readonly task: 'write'; readonly options: WriterOptions }
  | { readonly task: 'backup'; readonly source: string; readonly target: string };

export type ToWriter = { readonly group: readonly Operation[] } | 'close';

/** First `done` or a fault for the start; then one answer for each group, in order. A backup says `done` at its end. */
export type FromWorker = 'done' | { readonly replies: readonly Reply[] } | { readonly fault: StoreFault };
