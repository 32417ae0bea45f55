/** A program as small as can be that still needs all that an executable offers: starts a worker, and loads a part to tell its answer. */
import { once } from 'node:events';
import { startWorker } from '#ca-lite/worker.ts';

const worker = startWorker('sqlite-worker', { greeting: process.argv[2], count: 1n });
const [answer] = (await once(worker, 'message')) as [unknown];
const { format } = await import('./answer.ts');
console.log(format(answer));
