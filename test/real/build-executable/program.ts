/** A program as small as can be that still needs all that an executable offers: starts a worker and prints its answer. */
import { once } from 'node:events';
import { startWorker } from '#ca-lite/worker.ts';

const worker = startWorker('sqlite-worker', { greeting: process.argv[2], count: 1n });
const [answer] = (await once(worker, 'message')) as [unknown];
console.log(JSON.stringify(answer));
