/** The queue in front of the devices. */
import { expect, test } from 'vitest';
import { CommandQueue, type Priority } from '#ca-lite/yubihsm/command-queue.ts';

function fill(queue: CommandQueue<string>, ...jobs: [string, Priority][]): Promise<unknown>[] {
  return jobs.map(([name, priority]) => queue.add(name, priority));
}

function drain(queue: CommandQueue<string>): string[] {
  const taken: string[] = [];
  for (let job = queue.take(); job !== undefined; job = queue.take()) {
    taken.push(job.work);
    job.resolve(job.work);
  }
  return taken;
}

test('users come before hosts, and who came first comes first', async () => {
  const queue = new CommandQueue<string>({ maxWaiting: 10 });
  const all = fill(queue, ['b1', 'background'], ['h1', 'host'], ['u1', 'user'], ['h2', 'host'], ['u2', 'user']);
  expect(queue.length()).toBe(5);
  expect(drain(queue)).toEqual(['u1', 'u2', 'h1', 'h2', 'b1']);
  expect(await Promise.all(all)).toEqual(['b1', 'h1', 'u1', 'h2', 'u2']);
});

test('a job that is put back is the next of its priority', () => {
  const queue = new CommandQueue<string>({ maxWaiting: 10 });
  void fill(queue, ['h1', 'host'], ['h2', 'host']);
  const first = queue.take()!;
  queue.putBack(first);
  expect(drain(queue)).toEqual(['h1', 'h2']);
});

test('each priority has its own bound, and the drain time counts who is ahead', async () => {
  const queue = new CommandQueue<string>({ maxWaiting: 3, expectedMs: 2000 });
  const hosts = fill(queue, ['h1', 'host'], ['h2', 'host'], ['h3', 'host']);
  await expect(queue.add('h4', 'host')).rejects.toMatchObject({ code: 'overloaded', retryAfterSeconds: 8 });
  const user = queue.add('u1', 'user');
  expect(queue.drainSeconds('user')).toBe(4);
  queue.workers = 2;
  expect(queue.drainSeconds('host')).toBe(5);
  drain(queue);
  await Promise.all([...hosts, user]);
});

test('the average follows what was measured', () => {
  const queue = new CommandQueue<string>({ maxWaiting: 3, expectedMs: 100 });
  for (let i = 0; i < 50; i++) queue.measured(1000);
  expect(queue.drainSeconds()).toBeCloseTo(1, 2);
});

test('a job whose deadline comes leaves the queue', async () => {
  const queue = new CommandQueue<string>({ maxWaiting: 3 });
  const controller = new AbortController();
  const waiting = queue.add('u1', 'user', controller.signal);
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
  expect(queue.length()).toBe(0);
  await expect(queue.add('u2', 'user', controller.signal)).rejects.toMatchObject({ code: 'unavailable' });
});

test('a job under way whose deadline came is not put back', async () => {
  const queue = new CommandQueue<string>({ maxWaiting: 3 });
  const controller = new AbortController();
  const waiting = queue.add('u1', 'user', controller.signal);
  const job = queue.take()!;
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
  queue.putBack(job);
  expect(queue.length()).toBe(0);
});

test('each job wakes one who waits', async () => {
  const queue = new CommandQueue<string>({ maxWaiting: 3 });
  const never = new AbortController();
  const woken: number[] = [];
  const waiters = [1, 2].map((name) => queue.ready(never.signal).then(() => woken.push(name)));
  void fill(queue, ['h1', 'host']);
  await waiters[0];
  expect(woken).toEqual([1]);
  never.abort();
  await waiters[1];
});

test('a closed queue refuses who waits and who comes', async () => {
  const queue = new CommandQueue<string>({ maxWaiting: 3 });
  const waiting = queue.add('u1', 'user');
  queue.close();
  await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
  await expect(queue.add('u2', 'user')).rejects.toMatchObject({ code: 'unavailable' });
});
