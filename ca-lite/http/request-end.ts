/** Until when an answer is worth working for. */
import type { FastifyReply } from 'fastify';

/**
 * Aborts when the client hangs up before its answer is complete. (`request.signal` of fastify is another thing: it follows the
 * request's stream, which ends as soon as the body of a POST has been read.)
 */
export function signalOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  if (reply.raw.destroyed) controller.abort();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
