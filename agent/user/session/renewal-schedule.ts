/** The regular look at the sessions, besides the moments when one is due: on a cron schedule, as on hosts. */
import { createTask } from 'node-cron';

const SCHEDULE = '*/10 * * * *';
const silent = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };

/** Dispose it to stop. */
export async function startSchedule(ring: () => void): Promise<AsyncDisposable> {
  const task = createTask(SCHEDULE, ring, { suppressMissedWarning: true, logger: silent });
  await task.start();
  return {
    [Symbol.asyncDispose]: async () => {
      await task.destroy();
    },
  };
}
