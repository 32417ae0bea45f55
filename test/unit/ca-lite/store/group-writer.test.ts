import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { GroupWriter, type WriterPort } from '#ca-lite/store/group-writer.ts';
import { StoreError } from '#ca-lite/store/errors.ts';
import type { FromWorker, ToWriter } from '#ca-lite/store/sqlite-messages.ts';

/** The other end of the queue, in the hands of the test. */
class Port extends EventEmitter implements WriterPort {
  readonly sent: ToWriter[] = [];

  postMessage(message: ToWriter): void {
    this.sent.push(structuredClone(message)); // throws for what cannot be copied, as a Worker does
  }

  /** How many requests each group had. */
  get groups(): number[] {
    return this.sent.filter((message) => message !== 'close').map(({ group }) => group.length);
  }

  answer(message: FromWorker): void {
    this.emit('message', message);
  }

  answerAll(): void {
    const last = this.sent.findLast((message) => message !== 'close');
    this.answer({ replies: (last?.group ?? []).map(({ request }) => ({ value: request })) });
  }
}

const request = (limit: number) => ({ now: 100n, leewaySeconds: 0n, limit });
const abandon = { serial: 1n, now: 1n, audit: {} as never };
const clear = (name: string) => ({ name, now: 1n, audit: {} as never });
const fault = { code: 'store-full', message: 'full' } as const;

describe('the queue in front of the writer', () => {
  test('sends the requests of one turn as one group, and the next only when that is answered', async () => {
    const port = new Port();
    const writer = new GroupWriter(port, 100);
    const first = [1, 2, 3].map((n) => writer.submit('prune', request(n)));
    expect(port.sent).toEqual([]);
    await turn();
    expect(port.groups).toEqual([3]);
    const second = [4, 5].map((n) => writer.submit('prune', request(n)));
    await turn();
    expect(port.groups).toEqual([3]);
    expect(writer.pending).toBe(5);
    port.answerAll();
    expect(await Promise.all(first)).toEqual([1, 2, 3].map(request));
    await turn();
    expect(port.groups).toEqual([3, 2]);
    port.answerAll();
    expect(await Promise.all(second)).toEqual([4, 5].map(request));
    expect(writer.pending).toBe(0);
  });

  test('sends no group larger than 256', async () => {
    const port = new Port();
    const writer = new GroupWriter(port, 1000);
    const all = Array.from({ length: 600 }, (_, n) => writer.submit('prune', request(n)));
    for (let group = 0; group < 3; group += 1) {
      await turn();
      port.answerAll();
    }
    expect(await Promise.all(all)).toHaveLength(600);
    expect(port.groups).toEqual([256, 256, 88]);
  });

  test('refuses at its limit, but neither what finishes accepted work nor pruning', async () => {
    const port = new Port();
    const writer = new GroupWriter(port, 2);
    const accepted = ['a', 'b'].map((name) => writer.submit('clearHost', clear(name)));
    await expect(writer.submit('clearHost', clear('c'))).rejects.toMatchObject({ code: 'store-overloaded' });
    const admitted = [writer.submit('abandonIntent', abandon), writer.submit('prune', request(1))];
    await turn();
    port.answerAll();
    await Promise.all([...accepted, ...admitted]);
    const late = writer.submit('clearHost', clear('d'));
    await turn();
    port.answerAll();
    expect(await late).toEqual(clear('d'));
  });

  test('gives each request its own answer, or its own fault', async () => {
    const port = new Port();
    const writer = new GroupWriter(port, 10);
    const outcomes = Promise.allSettled([1, 2, 3].map((n) => writer.submit('prune', request(n))));
    await turn();
    port.answer({ replies: [{ value: 'a' }, { fault: { code: 'store-defect', message: 'only this one' } }] });
    expect(await outcomes).toMatchObject([
      { value: 'a' },
      { reason: { code: 'store-defect', message: 'only this one' } },
      { reason: { code: 'store-defect' } },
    ]);
  });

  test('gives a fault of the group to all of it, and goes on', async () => {
    const port = new Port();
    const writer = new GroupWriter(port, 10);
    const outcomes = Promise.allSettled([1, 2].map((n) => writer.submit('prune', request(n))));
    await turn();
    port.answer({ fault });
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: fault });
      expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(StoreError);
    }
    const next = writer.submit('prune', request(3));
    await turn();
    port.answerAll();
    expect(await next).toEqual(request(3));
  });

  test('is not stopped by what cannot be copied to a thread', async () => {
    const port = new Port();
    const writer = new GroupWriter(port, 10);
    const odd = { ...request(1), extra: () => 'a function' };
    await expect(writer.submit('prune', odd)).rejects.toMatchObject({ code: 'store-defect' });
    const next = writer.submit('prune', request(2));
    await turn();
    port.answerAll();
    expect(await next).toEqual(request(2));
  });

  test('rejects everything when the thread ends, and refuses from then on', async () => {
    const port = new Port();
    const writer = new GroupWriter(port, 10);
    const underway = writer.submit('prune', request(1));
    await turn();
    const waiting = writer.submit('prune', request(2));
    port.emit('error', new Error('out of memory'));
    await expect(underway).rejects.toMatchObject({ code: 'store-failed' });
    await expect(waiting).rejects.toMatchObject({ code: 'store-failed' });
    await expect(writer.submit('prune', request(3))).rejects.toMatchObject({ code: 'store-failed' });
    port.emit('exit');
    await writer.close();
  });

  test('closes after what is waiting is written, and refuses meanwhile', async () => {
    const port = new Port();
    const writer = new GroupWriter(port, 10);
    const underway = writer.submit('prune', request(1));
    await turn();
    const waiting = writer.submit('prune', request(2));
    const closed = writer.close();
    await expect(writer.submit('prune', request(3))).rejects.toMatchObject({ code: 'store-closed' });
    port.answerAll();
    await turn();
    expect(port.sent.at(-1)).not.toBe('close');
    port.answerAll();
    await Promise.all([underway, waiting]);
    await turn();
    expect(port.sent.at(-1)).toBe('close');
    port.emit('exit');
    await closed;
    await writer.close();
  });
});
