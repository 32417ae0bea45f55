/**
 * Worker threads of the CA, started alike from the sources and from the single executable.
 *
 * From the sources a worker is its `.ts` file. The executable has no files: `build/build.ts` bundles each worker by
 * itself and embeds it as an asset under the worker's name, and the text of that asset is run.
 *
 * Refuses on purpose: a worker that is not in the table below, since the build embeds exactly those.
 */
import { getAsset, isSea } from 'node:sea';
import { Worker } from 'node:worker_threads';

/** Each worker's name and its file, relative to this one. The build reads this table to know what to embed. */
export const workerFiles = {
  'sqlite-worker': './store/sqlite-worker.ts',
  'krl-worker': './revocation/krl-worker.ts',
} as const;

export type WorkerName = keyof typeof workerFiles;

/**
 * Starts a worker thread.
 *
 * @param name a worker of {@link workerFiles}
 * @param workerData what the thread finds as `workerData` of `node:worker_threads`; structured-cloned, so no functions
 * @returns the running thread; the caller listens to `error` and `exit`, and ends it with `terminate()` or `await using`
 */
export function startWorker(name: WorkerName, workerData: unknown): Worker {
  if (isSea()) return new Worker(getAsset(name, 'utf8'), { eval: true, name, workerData });
  return new Worker(new URL(workerFiles[name], import.meta.url), { name, workerData });
}
