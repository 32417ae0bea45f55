/**
 * The queue in front of a writer thread. One group is on its way at a time; what arrives meanwhile forms the next, so
 * groups grow with the load and a lone caller waits for nobody. Requests of one turn of the event loop go together.
 *
 * Bounded: beyond the limit new work is refused at once (`store-overloaded`). What finishes accepted work, such as the
 * result of an intent, always gets in; there is never more of it than of accepted work. So does pruning.
 */
import { StoreError } from './errors.ts';
import type { FromWorker, ToWriter } from './sqlite-messages.ts';
import type { Operation, OperationName, OperationReply, OperationRequest } from './sqlite-operations.ts';

/** The part of a Worker that is needed here. */
export interface WriterPort {
  postMessage(message: ToWriter): void;
  on(event: 'message', listener: (message: FromWorker) => void): unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  on(event: 'exit', listener: () => void): unknown;
}

interface Waiting {
  readonly operation: Operation;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreError) => void;
}

/** Larger groups gain nothing more on the flush and make the first in the group wait for the last. */
const MAX_GROUP_LENGTH = 256;

/** Always let in: what finishes accepted work; and pruning, of which there is one at a time, also as the question whether the writer lives. */
const admitted: ReadonlySet<OperationName> = new Set(['recordResult', 'abandonIntent', 'prune']);

export class GroupWriter {
  readonly limit: number;
  readonly #port: WriterPort;
  readonly #queue: Waiting[] = [];
  readonly #exited = Promise.withResolvers<void>();
  readonly #idle: (() => void)[] = [];
  #underway: readonly Waiting[] = [];
  #scheduled = false;
  #end: StoreError | undefined;

  /** @param port a writer that has said it is ready; @param limit requests waiting or being written, at most */
  constructor(port: WriterPort, limit: number) {
    this.#port = port;
    this.limit = limit;
    port.on('message', (message) => this.#settle(message));
    port.on('error', (error) => this.#fail(error));
    port.on('exit', () => {
      this.#fail(undefined);
      this.#exited.resolve();
    });
  }

  get pending(): number {
    return this.#queue.length + this.#underway.length;
  }

  /** Resolves when it is durable. @throws StoreError */
  submit<Name extends OperationName>(name: Name, request: OperationRequest<Name>): Promise<OperationReply<Name>> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    if (this.pending >= this.limit && !admitted.has(name)) {
      return Promise.reject(new StoreError('store-overloaded', `${this.pending} requests are waiting.`));
    }
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#queue.push({ operation: { name, request } as Operation, resolve, reject });
    this.#schedule();
    return promise as Promise<OperationReply<Name>>;
  }

  /** Writes what is waiting, then ends the thread. */
  async close(): Promise<void> {
    if (this.#end === undefined) {
      this.#end = new StoreError('store-closed', 'The store is closed.');
      if (this.pending > 0) await this.#drained();
      this.#port.postMessage('close');
    }
    await this.#exited.promise;
  }

  #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle.push(resolve);
    return promise;
  }

  #schedule(): void {
    if (this.#scheduled || this.#underway.length > 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#underway.length > 0 || this.#queue.length === 0) return;
    this.#underway = this.#queue.splice(0, MAX_GROUP_LENGTH);
    try {
      this.#port.postMessage({ group: this.#underway.map(({ operation }) => operation) });
    } catch {
      // Something in a request that cannot be copied to a thread, such as a function: the caller's types forbid it.
      this.#settle({ fault: new StoreError('store-defect', 'A request could not be sent to the writer.').toFault() });
    }
  }

  #settle(message: FromWorker): void {
    const group = this.#underway;
    this.#underway = [];
    group.forEach((waiting, index) => settleOne(waiting, message, index));
    if (this.#queue.length > 0) this.#schedule();
    else for (const resolve of this.#idle.splice(0)) resolve();
  }

  #fail(cause: unknown): void {
    const error = new StoreError('store-failed', 'The thread that writes the store ended.', { cause });
    this.#end ??= error;
    for (const { reject } of [...this.#underway, ...this.#queue.splice(0)]) reject(error);
    this.#underway = [];
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function settleOne({ resolve, reject }: Waiting, message: FromWorker, index: number): void {
  if (message === 'done') return reject(new StoreError('store-defect', 'The writer gave no answer.'));
  const reply = 'fault' in message ? message : message.replies[index];
  if (reply === undefined) reject(new StoreError('store-defect', 'The writer gave too few answers.'));
  else if ('fault' in reply) reject(StoreError.revive(reply.fault));
  else resolve(reply.value);
}
