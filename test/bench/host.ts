/**
 * What `countersign host run` costs a host where nothing is due: memory and CPU at rest, beside a bare Node that waits as long, in the same
 * run. As the executable of dist/ where it is built, else from the sources. (`countersign host renew` by a timer uses none in between.)
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRenewalHost } from '#test/real/host-renewal-fixture.ts';
import { startProcess } from '#test/support/lab-process.ts';
import { agentProgram } from '#test/support/programs.ts';
import type { BenchReport, BenchRow } from './report.ts';

/** Until what the start and the first look left is collected. */
const SETTLE_MS = 15_000;
const REST_MS = 30_000;
/** USER_HZ of Linux. */
const MS_PER_TICK = 10;

export async function bench(): Promise<BenchReport> {
  const kind = existsSync(join(import.meta.dirname, '../../dist/countersign')) ? 'dist' : 'sources';
  await using host = await startRenewalHost();
  const bare = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  await using daemon = startProcess([...agentProgram(kind), 'host', 'run', '--json', ...host.places]);
  await daemon.until((one) => one.stdout().includes('"started"'));
  await sleep(SETTLE_MS);
  const contestants = [bare.pid ?? 0, daemon.pid];
  const before = contestants.map(cpuMs);
  await sleep(REST_MS);
  const [node = Number.NaN, ours = Number.NaN] = contestants.map(
    (pid, i) => ((cpuMs(pid) - (before[i] ?? 0)) / REST_MS) * 1000,
  );
  const [nodeMemory, memory] = contestants.map(memoryOf);
  bare.kill();
  return {
    title: `A host at rest (${kind})`,
    rows: [
      ...rowsOf('RssAnon', 'MiB', nodeMemory?.anonymous, memory?.anonymous),
      ...rowsOf('RSS', 'MiB', nodeMemory?.resident, memory?.resident),
      { what: 'bare Node that wakes each second, CPU', value: node, unit: 'ms/s' },
      { what: 'countersign host run, CPU', value: ours, unit: 'ms/s' },
    ],
  };
}

function rowsOf(what: string, unit: string, node = Number.NaN, ours = Number.NaN): BenchRow[] {
  return [
    { what: `bare Node, ${what}`, value: node, unit },
    { what: `countersign host run, ${what}`, value: ours, unit, against: 'node', ratio: ours / node },
  ];
}

function memoryOf(pid: number): { readonly anonymous: number; readonly resident: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
  return { anonymous: mebibytes('RssAnon'), resident: mebibytes('VmRSS') };
}

/** Of all its threads, so far. */
function cpuMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}
