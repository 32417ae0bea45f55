/**
 * The KRL as it is served: made anew only when the store's number moved, in a thread of its own (`krl-worker.ts`), since a large one
 * takes longer than other requests may wait. The thread starts with the first one who asks, and keeps what it read.
 */
import type { Worker } from 'node:worker_threads';
import { StoreError } from '../store/errors.ts';
import type { LineageReader } from '../store/store-lineage.ts';
import { startWorker } from '../worker.ts';
import type { PublishedKrl } from './krl-builder.ts';
import type { FromKrlWorker, KrlWorkerData } from './krl-worker.ts';

export class KrlPublisher implements AsyncDisposable {
  readonly #store: Pick<LineageReader, 'krlState'>;
  readonly #path: string;
  #worker: Worker | undefined;
  #published: PublishedKrl | undefined;
  #building: Promise<PublishedKrl> | undefined;

  /** @param path the store's file, which the thread opens for itself */
  constructor(store: Pick<LineageReader, 'krlState'>, path: string) {
    this.#store = store;
    this.#path = path;
  }

  /** With everything that was revoked before the call. @throws StoreError */
  async current(): Promise<PublishedKrl> {
    const { number } = await this.#store.krlState();
    let krl = this.#published;
    while (krl === undefined || krl.number < number) {
      this.#building ??= this.#build().finally(() => (this.#building = undefined));
      krl = await this.#building; // one that was begun before this call may be too old
    }
    return krl;
  }

  async #build(): Promise<PublishedKrl> {
    this.#published = await this.#ask();
    return this.#published;
  }

  async #ask(): Promise<PublishedKrl> {
    const { promise, resolve, reject } = Promise.withResolvers<PublishedKrl>();
    const worker = (this.#worker ??= this.#start());
    const ended = (cause?: unknown): void => {
      this.#worker = undefined;
      reject(new StoreError('store-failed', 'The thread that makes the KRL ended.', { cause }));
    };
    const answered = (message: FromKrlWorker): void => {
      if ('krl' in message) return resolve(message.krl);
      ended();
      void worker.terminate(); // it may have read a part: the next one begins anew
      reject(StoreError.revive(message.fault));
    };
    worker.once('message', answered).once('error', ended).once('exit', ended);
    worker.postMessage('build');
    try {
      return await promise;
    } finally {
      worker.off('message', answered).off('error', ended).off('exit', ended);
    }
  }

  #start(): Worker {
    const data: KrlWorkerData = { path: this.#path };
    const worker = startWorker('krl-worker', data);
    worker.on('error', () => undefined); // who waits is told; nobody else needs it
    worker.unref();
    return worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
  }
}
