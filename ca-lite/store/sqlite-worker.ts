/**
 * The worker thread of the SQLite store: the one writer of this process, or one backup. Its own thread, because SQLite
 * and the disk flush behind each commit block the thread that asks.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { StoreError } from './errors.ts';
import { copyStore } from './sqlite-backup.ts';
import { commitGroup } from './sqlite-group.ts';
import type { FromWorker, ToWriter, WorkerTask } from './sqlite-messages.ts';
import { type WriterOptions, openWriter } from './sqlite-open.ts';

function serveWrites(port: MessagePort, options: WriterOptions): void {
  const writer = openWriter(options);
  port.on('message', (message: ToWriter) => {
    if (message === 'close') {
      writer[Symbol.dispose]();
      port.close();
    } else {
      port.postMessage(answer(() => ({ replies: commitGroup(writer.connection, message.group) })));
    }
  });
}

function answer(action: () => FromWorker): FromWorker {
  try {
    return action();
  } catch (error) {
    if (error instanceof StoreError) return { fault: error.toFault() };
    const what = `The store's worker failed: ${error instanceof Error ? error.message : 'unknown'}.`;
    return { fault: new StoreError('store-defect', what).toFault() };
  }
}

if (parentPort !== null) {
  const port = parentPort;
  const task = workerData as WorkerTask;
  port.postMessage(
    answer(() => {
      if (task.task === 'write') serveWrites(port, task.options);
      else copyStore(task.source, task.target);
      return 'done';
    }),
  );
}
