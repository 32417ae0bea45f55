/**
 * What the two programs cost before they do anything: time to start, time until the CA serves, and memory at rest, beside a bare Node in turns in the
 * same run. As the executables of dist/ where they are built, else from the sources. Executables are copied first: one that was just written has more of
 * its file in memory. RssAnon is the memory that is theirs alone; RSS counts pages of the file as well, which all processes of one file share.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCa } from '#test/support/ca.ts';
import { type Program, agentProgram, caProgram } from '#test/support/programs.ts';
import { type BenchReport, type BenchRow, printReport, quantile } from './report.ts';
import { timeOf } from './program-time.ts';

const STARTS = 15;
const SERVES = 5;
/** Until what the start left is collected. */
const REST_MS = 5000;
const MEMORY_GOAL = 1.5;

export async function bench(): Promise<BenchReport> {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-bench-'));
  try {
    const programs = programsIn(directory);
    const rows = [...(await startRows(programs)), ...(await restRows(programs, directory))];
    return { title: `Programs at rest (${programs.kind})`, rows };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Programs {
  readonly kind: string;
  readonly agent: Program;
  readonly ca: Program;
}

function programsIn(directory: string): Programs {
  const dist = join(import.meta.dirname, '../../dist');
  const names = ['countersign', 'countersign-ca'] as const;
  if (!names.every((name) => existsSync(join(dist, name))))
    return { kind: 'sources, since dist/ is not built', agent: agentProgram('sources'), ca: caProgram('sources') };
  for (const name of names) copyFileSync(join(dist, name), join(directory, name));
  return { kind: 'executables', agent: [join(directory, 'countersign')], ca: [join(directory, 'countersign-ca')] };
}

async function startRows({ agent, ca }: Programs): Promise<BenchRow[]> {
  const contestants = [
    ['node -e ""', [process.execPath, '-e', '']],
    ['countersign --version', [...agent, '--version']],
    ['countersign-ca --version', [...ca, '--version']],
  ] as const;
  const times = contestants.map((): number[] => []);
  for (let round = 0; round < STARTS; round += 1)
    for (const [i, [, command]] of contestants.entries()) times[i]?.push(await timeOf(command));
  const medians = times.map((each) => quantile(each, 0.5));
  return contestants.map(([what], i) => {
    const value = medians[i] ?? Number.NaN;
    const row = { what: `start: ${what}, p50`, value, unit: 'ms' };
    return i === 0 ? row : { ...row, against: 'node', ratio: value / (medians[0] ?? Number.NaN) };
  });
}

async function restRows({ agent, ca }: Programs, directory: string): Promise<BenchRow[]> {
  await using stack = new AsyncDisposableStack();
  const bare = stack.use(running([process.execPath, '-e', 'setInterval(() => {}, 1e9)']));
  const made = await makeCa({ within: directory, program: ca });
  const ready: number[] = [];
  for (let round = 0; round < SERVES; round += 1) {
    const started = performance.now();
    await using _serving = await made.serve();
    ready.push(performance.now() - started);
  }
  const serving = stack.use(await made.serve());
  const socket = join(directory, 'agent.sock');
  const listening = stack.use(running([...agent, 'agent', '-D', '-a', socket]));
  while (!existsSync(socket)) await sleep(20);
  await sleep(REST_MS);
  const node = await memoryOf(bare.pid);
  return [
    { what: 'serve until ready, keys decrypted, p50', value: quantile(ready, 0.5), unit: 'ms' },
    ...memoryRows('node', node),
    ...memoryRows('countersign agent', await memoryOf(listening.pid), node, `at most ${MEMORY_GOAL}`),
    ...memoryRows('countersign-ca serve', await memoryOf(serving.process.pid), node),
  ];
}

interface Memory {
  readonly anonymous: number;
  readonly resident: number;
}

function memoryRows(what: string, { anonymous, resident }: Memory, node?: Memory, goal?: string): BenchRow[] {
  const rows = [
    { what: `idle: ${what}, RssAnon`, value: anonymous, unit: 'MiB' },
    { what: `idle: ${what}, RSS`, value: resident, unit: 'MiB' },
  ];
  if (node === undefined) return rows;
  return rows.map((row, i) => {
    const ratio = row.value / (i === 0 ? node.anonymous : node.resident);
    return { ...row, against: 'node', ratio, ...(goal === undefined ? {} : { goal, met: ratio <= MEMORY_GOAL }) };
  });
}

async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
  return { anonymous: mebibytes('RssAnon'), resident: mebibytes('VmRSS') };
}

function running([file = '', ...args]: readonly string[]): { readonly pid: number } & AsyncDisposable {
  const child = spawn(file, args, { stdio: 'ignore' });
  return { pid: child.pid ?? 0, [Symbol.asyncDispose]: async () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill();
  await once(child, 'exit');
}

if (import.meta.main) printReport(await bench());
