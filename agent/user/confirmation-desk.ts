/** Puts questions to the user and waits: the queue with its timer, and SSH_ASKPASS where it is set. */
import { randomUUID } from 'node:crypto';
import type { ControlQuestion } from '#protocol/control.ts';
import { askWithProgram } from './askpass.ts';
import { type Consent, type ConfirmationQueue, type QuestionSubject } from './confirmation-queue.ts';
import type { Clock } from './moment.ts';

export class ConfirmationDesk {
  readonly #queue: ConfirmationQueue;
  readonly #clock: Clock;
  readonly #askpass: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param askpass path of a program that asks, beside the control API */
  constructor(queue: ConfirmationQueue, clock: Clock, askpass?: string) {
    this.#queue = queue;
    this.#clock = clock;
    this.#askpass = askpass;
  }

  /** Denied when `signal` fires: whoever asked is gone. */
  async ask(subject: QuestionSubject, signal: AbortSignal): Promise<Consent> {
    if (signal.aborted) return 'denied';
    const id = randomUUID();
    const { promise, resolve } = Promise.withResolvers<Consent>();
    const question = this.#queue.ask(id, subject, this.#clock(), resolve);
    this.#arm();
    const withdraw = (): void => void this.#queue.answer(id, 'denied');
    signal.addEventListener('abort', withdraw, { once: true });
    const settled = new AbortController();
    if (this.#askpass !== undefined) {
      void this.#askWith(this.#askpass, question, settled.signal);
    }
    try {
      return await promise;
    } finally {
      settled.abort();
      signal.removeEventListener('abort', withdraw);
    }
  }

  async #askWith(program: string, question: ControlQuestion, signal: AbortSignal): Promise<void> {
    const consent = await askWithProgram(program, question, signal);
    if (consent !== undefined) this.#queue.answer(question.id, consent);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const now = this.#clock();
    this.#queue.expire(now);
    const wait = this.#queue.msToNextDeadline(now);
    if (wait === Infinity) return;
    this.#timer = setTimeout(() => this.#arm(), Math.ceil(wait) + 1);
    this.#timer.unref();
  }
}
