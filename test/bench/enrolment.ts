/**
 * What an enrolment costs. First the CA's own work, dial-backs, DNS and store included, as processor time of its process: what it waits for costs it
 * nothing. Then what a person waits for: from the start of `countersign host enroll` until sshd serves the certificate, and where that time goes.
 * Everything is on loopback, the sshds are real; each enrolment is of another name and address, so that each one is a first one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { x509Fingerprint } from '#ca-lite/x509/certificate-authority.ts';
import { type RunningCa, makeCa } from '#test/support/ca.ts';
import { EnrolmentClient, type HostKeyPair } from '#test/support/enrolment-client.ts';
import { startLabSshd } from '#test/support/lab-sshd.ts';
import { type Lab, type Machine, openLab } from '#test/support/lab.ts';
import { type ProgramKind, agentProgram, caProgram } from '#test/support/programs.ts';
import { type BenchReport, type BenchRow, printReport, quantile } from './report.ts';
import { timeOf } from './program-time.ts';

const WARM_UP = 10;
const ENROLMENTS = 60;
/** sshd has no more sockets than sixteen. */
const SSHD_ADDRESSES = 14;
const AGENT_RUNS = 11;
const CPU_GOAL_MS = 50;
const ENROLL_GOAL_MS = 300;

const dist = join(import.meta.dirname, '../../dist');
const kinds: readonly ProgramKind[] =
  existsSync(join(dist, 'countersign')) && existsSync(join(dist, 'countersign-ca')) ? ['sources', 'dist'] : ['sources'];

export async function bench(): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  for (const kind of kinds) {
    await using lab = await openLab('loopback');
    const program = caProgram(kind);
    const within = join(lab.directory, 'bench');
    const address = ['--allow-address', lab.network, '--allow-name', '**.lab.example'];
    const ca = await makeCa({ within, program, settings: [lab.caSettings], initOptions: address, quick: true });
    await using serving = await ca.serve();
    rows.push(...(await caRows(lab, serving, kind)), ...(await agentRows(lab, serving, kind)));
  }
  return { title: 'Enrolment (loopback, real sshd)', rows };
}

/** A few sshds with as many addresses as one takes, one after the other enrolled under names of their own. */
async function caRows(lab: Lab, { ca, url }: RunningCa, kind: ProgramKind): Promise<BenchRow[]> {
  await using stack = new AsyncDisposableStack();
  const client = stack.use(new EnrolmentClient({ url, rootPem: await ca.rootPem() }));
  const wishes: Wish[] = [];
  while (wishes.length < WARM_UP + ENROLMENTS) {
    const machine = await lab.addMachine(`many${wishes.length}`, { addresses: SSHD_ADDRESSES });
    const { hostKeys } = stack.use(await startLabSshd(lab, machine));
    for (const address of machine.addresses) {
      const name = `h${wishes.length}.lab.example`;
      for (const key of hostKeys) wishes.push({ name, address, key });
    }
  }
  await lab.setZone(Object.fromEntries(wishes.map(({ name, address }) => [name, [address]])));
  for (const wish of wishes.slice(0, WARM_UP)) await enrol(client, wish, lab.sshPort);
  const before = await cpuSeconds(client);
  const times: number[] = [];
  for (const wish of wishes.slice(WARM_UP)) times.push(await enrol(client, wish, lab.sshPort));
  const each = (((await cpuSeconds(client)) - before) * 1000) / times.length;
  const goal = { goal: `under ${CPU_GOAL_MS} ms`, met: each < CPU_GOAL_MS };
  return [
    { what: `${kind}: processor time of the CA, each`, value: each, unit: 'ms', ...goal },
    { what: `  challenge, token and certificate, p50`, value: quantile(times, 0.5), unit: 'ms' },
  ];
}

interface Wish {
  readonly name: string;
  readonly address: string;
  readonly key: HostKeyPair;
}

/** Milliseconds from the first request to the certificate. */
async function enrol(client: EnrolmentClient, { name, address, key }: Wish, port: number): Promise<number> {
  const started = performance.now();
  const claim = { names: [name], addresses: [address], fingerprint: key.fingerprint, port };
  const outcome = await client.enrol(claim, key);
  if ('refused' in outcome) throw new Error(outcome.refused.text);
  return performance.now() - started;
}

async function cpuSeconds(client: EnrolmentClient): Promise<number> {
  const { text } = await client.request('GET', '/metrics');
  return Number(/^process_cpu_seconds_total (\S+)/m.exec(text)?.[1]);
}

/** Milliseconds from the start, at the end of each of the agent's steps; the last one is the end of the program. */
interface Run {
  readonly lines: readonly { readonly text: string; readonly at: number }[];
  readonly total: number;
  /** Of the program and of what it started. */
  readonly cpuMs: number;
}

async function agentRows(lab: Lab, { ca, url }: RunningCa, kind: ProgramKind): Promise<BenchRow[]> {
  const fingerprint = x509Fingerprint(await ca.rootPem());
  const runs: Run[] = [];
  const bare: number[] = [];
  for (let i = 0; i <= AGENT_RUNS; i += 1) {
    bare.push(await timeOf([process.execPath, '-e', '']));
    const machine = await lab.addMachine(`${kind}${i}`);
    await lab.setZone({ [`${machine.name}.lab.example`]: machine.addresses });
    await using sshd = await startLabSshd(lab, machine);
    const state = ['--state-dir', join(machine.directory, 'state')];
    await timeOf([...agentProgram(kind), 'bootstrap', '--ca', url, '--fingerprint', fingerprint, ...state]);
    const run = await enroll(lab, machine, sshd.process.pid, [...agentProgram(kind)], state);
    if (i > 0) runs.push(run); // the first one reads the program from the disk
  }
  const median = quantile(
    runs.map(({ total }) => total),
    0.5,
  );
  const node = quantile(bare, 0.5);
  const goal = { goal: `under ${ENROLL_GOAL_MS} ms`, met: median < ENROLL_GOAL_MS };
  return [
    {
      what: `${kind}: countersign host enroll, p50`,
      value: median,
      unit: 'ms',
      against: 'node -e ""',
      ratio: median / node,
      ...goal,
    },
    {
      what: '  its processor time, and that of what it starts, p50',
      value: quantile(
        runs.map(({ cpuMs }) => cpuMs),
        0.5,
      ),
      unit: 'ms',
    },
    ...partsOf(runs).map(([what, value]) => ({ what: `  ${what}, p50`, value, unit: 'ms' })),
  ];
}

async function enroll(
  lab: Lab,
  { name, addresses, ssh }: Machine,
  sshdPid: number,
  program: string[],
  state: string[],
): Promise<Run> {
  const identity = ['--name', `${name}.lab.example`, '--ip', addresses[0] ?? '', '--port', String(lab.sshPort)];
  const sshd = ['--sshd-config', join(ssh.outside, 'sshd_config'), '--reload', `kill -HUP ${sshdPid}`];
  const command = [...program, 'host', 'enroll', ...identity, ...sshd, ...state];
  const lines: { text: string; at: number }[] = [];
  const started = performance.now();
  const child = spawn('sh', ['-c', TIMED, 'sh', ...command], { stdio: ['ignore', 'ignore', 'pipe'] });
  createInterface({ input: child.stderr }).on('line', (text) => lines.push({ text, at: performance.now() - started }));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(lines.map(({ text }) => text).join('\n'));
  const times = lines.splice(-2).at(-1)?.text ?? '';
  return { lines, total: performance.now() - started, cpuMs: childrenMs(times) };
}

/** Runs a command, and says what processor time it and its children took: POSIX `times`, whose second line is theirs. */
const TIMED = '"$@"; status=$?; times >&2; exit $status';

/** `0m0.120s 0m0.030s`: user and system. */
function childrenMs(line: string): number {
  const parts = [...line.matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, seconds]) => Number(minutes) * 60 + Number(seconds),
  );
  return parts.reduce((sum, part) => sum + part, 0) * 1000;
}

/** The agent says `ok: WHAT` at the end of each step. */
function partsOf(runs: readonly Run[]): [string, number][] {
  const steps = runs.map(({ lines, total }) => {
    const ends = lines.filter(({ text }) => text.startsWith('ok: '));
    return [...ends, { text: 'ok: printing and ending', at: total }].map(({ text, at }, i) => ({
      what: text.slice(4),
      took: at - (ends[i - 1]?.at ?? 0),
    }));
  });
  const names = [
    'starting, and looking at sshd and its keys',
    'the CA: challenge, proof, token, certificate',
    'installing, reloading sshd, looking from outside',
    'ending',
  ];
  return names.map((name, i) => [
    name,
    quantile(
      steps.map((step) => step[i]?.took ?? Number.NaN),
      0.5,
    ),
  ]);
}

if (import.meta.main) printReport(await bench());
