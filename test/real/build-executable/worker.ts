/** The worker of program.ts: answers out of a database in memory. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

const { greeting, count } = workerData as { greeting: string; count: bigint };
using database = new DatabaseSync(':memory:');
parentPort?.postMessage(database.prepare('SELECT ? AS greeting, ? + 1 AS count').get(greeting, count));
