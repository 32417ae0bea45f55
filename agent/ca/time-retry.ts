/** One more attempt by the CA's own time, after one that failed because of the time. Does I/O. */
import type { CaClient } from './ca-client.ts';
import { CaError } from './ca-error.ts';

/**
 * @param attempt takes the time from the client's clock
 * @throws what `attempt` throws, and CaError `time-untrusted` when the CA's time cannot be believed
 */
export async function retryByCaTime<T>(client: CaClient, attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof CaError) || !error.concernsTime) throw error;
    await client.askTime();
    return attempt();
  }
}
