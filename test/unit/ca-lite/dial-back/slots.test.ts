import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Slot, type SlotRefusal, Slots } from '#ca-lite/dial-back/slots.ts';

type Kind = 'total' | 'requester' | 'target';
const never = new AbortController().signal;
const LONG = 60_000;

function slotsOf(
  total: [number, number],
  requester: [number, number],
  target: [number, number],
  wait = LONG,
): Slots<Kind> {
  const limits = ([running, waiting]: [number, number]): { running: number; waiting: number } => ({ running, waiting });
  return new Slots({ total: limits(total), requester: limits(requester), target: limits(target) }, wait);
}

const ask = (slots: Slots<Kind>, requester: string, target: string, signal = never): Promise<Slot | SlotRefusal> =>
  slots.acquire({ total: 'all', requester, target }, signal);

function held(result: Slot | SlotRefusal): Slot {
  return result.granted ? result : expect.unreachable(result.code);
}

/** Whether a promise has settled by the next turn of the event loop. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  await setImmediate();
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending;
}

describe('Slots', () => {
  test.each([
    ['in total', slotsOf([1, 0], [9, 9], [9, 9]), 'other', 'other'],
    ['for one requester', slotsOf([9, 9], [1, 0], [9, 9]), 'r', 'other'],
    ['for one target', slotsOf([9, 9], [9, 9], [1, 0]), 'other', 't'],
  ])('are bounded %s', async (_what, slots, requester, target) => {
    const first = held(await ask(slots, 'r', 't'));
    expect(await ask(slots, requester, target)).toEqual({ granted: false, code: 'busy' });
    first[Symbol.dispose]();
    held(await ask(slots, requester, target))[Symbol.dispose]();
    expect(slots.idle).toBe(true);
  });

  test('do not let one requester or one target hold up the others', async () => {
    const slots = slotsOf([9, 9], [1, 9], [1, 9]);
    using first = held(await ask(slots, 'r', 't'));
    expect(first.granted).toBe(true);
    const sameRequester = ask(slots, 'r', 'other');
    const sameTarget = ask(slots, 'other', 't');
    held(await ask(slots, 'third', 'third'))[Symbol.dispose]();
    expect(await isPending(sameRequester)).toBe(true);
    expect(await isPending(sameTarget)).toBe(true);
    first[Symbol.dispose]();
    held(await sameRequester)[Symbol.dispose]();
    held(await sameTarget)[Symbol.dispose]();
    expect(slots.idle).toBe(true);
  });

  test('are given first come, first served', async () => {
    const slots = slotsOf([1, 9], [9, 9], [9, 9]);
    const order: number[] = [];
    const first = held(await ask(slots, 'r', 't'));
    const rest = [1, 2, 3].map(async (number) => {
      using slot = held(await ask(slots, `r${number}`, `t${number}`));
      order.push(slot.granted ? number : 0);
    });
    first[Symbol.dispose]();
    await Promise.all(rest);
    expect(order).toEqual([1, 2, 3]);
  });

  test('refuse when the waiting line of a requester is full', async () => {
    const slots = slotsOf([9, 9], [1, 1], [9, 9]);
    const first = held(await ask(slots, 'r', 't1'));
    const waiting = ask(slots, 'r', 't2');
    expect(await ask(slots, 'r', 't3')).toEqual({ granted: false, code: 'busy' });
    first[Symbol.dispose]();
    held(await waiting)[Symbol.dispose]();
    expect(slots.idle).toBe(true);
  });

  test('are not waited for longer than allowed', async () => {
    const slots = slotsOf([1, 1], [9, 9], [9, 9], 5);
    const first = held(await ask(slots, 'r', 't'));
    expect(await ask(slots, 'r', 't')).toEqual({ granted: false, code: 'busy' });
    first[Symbol.dispose]();
    expect(slots.idle).toBe(true);
  });

  test('are not waited for after an abort, before or during the wait', async () => {
    const slots = slotsOf([1, 9], [9, 9], [9, 9]);
    expect(await ask(slots, 'r', 't', AbortSignal.abort())).toEqual({ granted: false, code: 'aborted' });
    const first = held(await ask(slots, 'r', 't'));
    const controller = new AbortController();
    const waiting = ask(slots, 'r', 't', controller.signal);
    controller.abort();
    expect(await waiting).toEqual({ granted: false, code: 'aborted' });
    first[Symbol.dispose]();
    expect(slots.idle).toBe(true);
  });

  test('count a double release once', async () => {
    const slots = slotsOf([1, 0], [9, 9], [9, 9]);
    const first = held(await ask(slots, 'r', 't'));
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    held(await ask(slots, 'r', 't'));
    expect((await ask(slots, 'r', 't')).granted).toBe(false);
  });

  test('never exceed a limit, and are all back at the end, whatever the order', async () => {
    const job = fc.record({ requester: fc.nat(2), target: fc.nat(2), turns: fc.nat(3), abort: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(job, { maxLength: 30 }), async (jobs) => {
        const slots = slotsOf([4, 8], [2, 4], [2, 4]);
        const running = new Map<string, number>();
        const change = (key: string, by: number, limit: number): void => {
          const count = (running.get(key) ?? 0) + by;
          running.set(key, count);
          expect(count).toBeLessThanOrEqual(limit);
        };
        await Promise.all(
          jobs.map(async ({ requester, target, turns, abort }) => {
            const controller = new AbortController();
            const asked = ask(slots, `r${requester}`, `t${target}`, controller.signal);
            if (abort) controller.abort();
            using slot = await asked.then((result) =>
              result.granted ? result : { granted: false, [Symbol.dispose]() {} },
            );
            if (!slot.granted) return;
            const keys = [
              ['total', 4],
              [`r${requester}`, 2],
              [`t${target}`, 2],
            ] as const;
            for (const [key, limit] of keys) change(key, 1, limit);
            for (let turn = 0; turn < turns; turn++) await sleep(0);
            for (const [key, limit] of keys) change(key, -1, limit);
          }),
        );
        expect(slots.idle).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});
