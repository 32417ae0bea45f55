/**
 * Stopping without cutting anybody off: requests that have arrived get their answer, later ones on connections that are still open are
 * told to come back, and what is left then (idle connections, halves of requests) is closed.
 */
import type { FastifyReply } from 'fastify';
import { sendRefusal } from './failure.ts';
import { refuse } from '../refusal.ts';
import type { CaServer } from './typed-server.ts';

const RETRY_SECONDS = 5;
const stoppingRefusal = refuse('stopping', 'The CA is being stopped. Try again in a few seconds.', RETRY_SECONDS);

export class Drain {
  readonly #underway = new Set<FastifyReply>();
  readonly #waiting: (() => void)[] = [];
  #stopping = false;

  /** Before routes are registered. */
  watch(server: CaServer): void {
    server.addHook('onRequest', (_request, reply, done) => {
      if (this.#stopping) sendRefusal(reply, stoppingRefusal);
      else done();
    });
    // A request counts once all of it is here: nobody holds up the end with half a body.
    server.addHook('preValidation', (_request, reply, done) => {
      this.#underway.add(reply);
      reply.raw.once('close', () => this.#forget(reply));
      done();
    });
    server.addHook('onSend', (_request, reply, _payload, done) => {
      if (this.#stopping) reply.header('connection', 'close');
      done();
    });
  }

  /** Ends serving; resolves when every connection is closed. */
  async stop(server: CaServer): Promise<void> {
    this.#stopping = true;
    const closed = server.close(); // takes no connections any more
    await this.#idle();
    server.server.closeAllConnections();
    await closed;
  }

  async #idle(): Promise<void> {
    if (this.#underway.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await promise;
  }

  #forget(reply: FastifyReply): void {
    this.#underway.delete(reply);
    if (this.#underway.size > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
