/** The thread that makes the KRL: it reads the store by itself, and hands the bytes over without a copy. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { StoreError, type StoreFault } from '../store/errors.ts';
import { SqliteReader } from '../store/sqlite-reader.ts';
import { KrlBuilder, type PublishedKrl } from './krl-builder.ts';

export interface KrlWorkerData {
  readonly path: string;
}

export type FromKrlWorker = { readonly krl: PublishedKrl } | { readonly fault: StoreFault };

function serveBuilds(port: MessagePort, { path }: KrlWorkerData): void {
  let builder: KrlBuilder | undefined;
  const build = async (): Promise<PublishedKrl> => {
    builder ??= new KrlBuilder(new SqliteReader(path, noBackup));
    return builder.build();
  };
  port.on('message', () => void answer(port, build));
}

async function noBackup(): Promise<never> {
  throw new TypeError('this thread only reads');
}

async function answer(port: MessagePort, build: () => Promise<PublishedKrl>): Promise<void> {
  try {
    const krl = await build();
    port.postMessage({ krl } satisfies FromKrlWorker, [krl.bytes.buffer]);
  } catch (error) {
    const what = `The KRL was not made: ${error instanceof Error ? error.message : 'unknown'}.`;
    const fault = error instanceof StoreError ? error.toFault() : new StoreError('store-defect', what).toFault();
    port.postMessage({ fault } satisfies FromKrlWorker);
  }
}

if (parentPort !== null) serveBuilds(parentPort, workerData as KrlWorkerData);
