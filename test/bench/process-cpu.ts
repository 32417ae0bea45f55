/**
 * The CPU time that the threads of a process have used, from /proc (Linux). What a thing costs in CPU changes little with what else the machine
 * does; how many of it there are a second changes a lot.
 */
import { readFileSync, readdirSync } from 'node:fs';

const NS_PER_MS = 1e6;

/** Milliseconds by the name of the thread, those of the same name together. The first thread is `main`. */
export type ProcessCpu = ReadonlyMap<string, number>;

export function cpuOf(pid: number): ProcessCpu {
  const spent = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const read = (file: string): string => readFileSync(`/proc/${pid}/task/${thread}/${file}`, 'utf8').trim();
    const name = thread === String(pid) ? 'main' : read('comm');
    const [nanoseconds] = read('schedstat').split(' ');
    spent.set(name, (spent.get(name) ?? 0) + Number(nanoseconds) / NS_PER_MS);
  }
  return spent;
}

/** What was used between the two, of one thread or of all. */
export function spentBetween(before: ProcessCpu, after: ProcessCpu, name?: string): number {
  const of = (cpu: ProcessCpu): number =>
    name === undefined ? cpu.values().reduce((sum, each) => sum + each, 0) : (cpu.get(name) ?? 0);
  return of(after) - of(before);
}
