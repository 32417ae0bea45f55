/**
 * The user agent beside OpenSSH's ssh-agent: the same requests over the real sockets, in turns, in one run: p50 and p99 of
 * one request, requests per second, and the agents' memory beside that of a bare Node process.
 * The client is this process: what it costs itself is in every number, the same for both. As the executable of dist/ where it is built, else
 * from the sources; a copy of it, since of a file that was just written more is in memory.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { encodeAgentFrame } from '#openssh/agent-frame.ts';
import { replyNumbers } from '#openssh/agent-number.ts';
import { encodeListRequest, encodeSignRequest } from '#openssh/agent-request.ts';
import { decodeBase64 } from '#openssh/base64.ts';
import { parsePublicKeyLine } from '#openssh/public-key.ts';
import { type Program, agentProgram } from '../support/programs.ts';
import { type BenchReport, type BenchRow, quantile } from './report.ts';

const WARM_UP_SECONDS = 0.5;
const SLICE_SECONDS = 1;
const ROUNDS = 3;
const CLIENT_COUNTS = [1, 16];
const SETTLE_MS = 5000;

type Name = 'countersign' | 'ssh-agent';

interface Contestant extends AsyncDisposable {
  readonly name: Name;
  readonly socket: string;
  readonly pid: number;
}

interface Workload {
  readonly what: string;
  readonly frame: Uint8Array;
  readonly replyNumber: number;
}

export async function bench(): Promise<BenchReport> {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const workloads = await makeWorkloads(directory);
  const ours = stack.use(await start('countersign', [...programIn(directory), 'agent'], directory));
  const theirs = stack.use(await start('ssh-agent', ['ssh-agent'], directory));
  const rows: BenchRow[] = await memoryRows(ours);
  for (const { socket } of [ours, theirs]) await addKeys(socket, directory);
  for (const workload of workloads) {
    for (const clients of CLIENT_COUNTS) rows.push(...(await compare(workload, clients, ours, theirs)));
  }
  return { title: 'The agent beside OpenSSH ssh-agent, over their sockets', rows };
}

function programIn(directory: string): Program {
  const executable = join(import.meta.dirname, '../../dist/countersign');
  if (!existsSync(executable)) return agentProgram('sources');
  const copy = join(directory, 'countersign');
  copyFileSync(executable, copy);
  return [copy];
}

/** In turns, so that what else the machine does falls on both. */
async function compare(workload: Workload, clients: number, ours: Contestant, theirs: Contestant): Promise<BenchRow[]> {
  const taken: Record<Name, number[]> = { countersign: [], 'ssh-agent': [] };
  for (const each of [ours, theirs]) await measure(each, workload, clients, WARM_UP_SECONDS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const each of [ours, theirs])
      taken[each.name] = taken[each.name].concat(await measure(each, workload, clients, SLICE_SECONDS));
  }
  const title = `${workload.what}, ${clients} client${clients === 1 ? '' : 's'}`;
  const delay = (p: number): BenchRow => {
    const [value, other] = [quantile(taken.countersign, p) * 1000, quantile(taken['ssh-agent'], p) * 1000];
    const compared = { against: 'ssh-agent', ratio: value / other, goal: 'at most 1', met: value <= other };
    return { what: `${title}: p${p * 100}`, value, unit: 'us', ...compared };
  };
  const perSecond = taken.countersign.length / (ROUNDS * SLICE_SECONDS);
  const ratio = taken.countersign.length / taken['ssh-agent'].length;
  return [delay(0.5), delay(0.99), { what: title, value: perSecond, unit: '/s', against: 'ssh-agent', ratio }];
}

/** Before anything was asked of the agent, beside a Node that only waits. */
async function memoryRows({ pid }: Contestant): Promise<BenchRow[]> {
  const bare = spawn(process.execPath, ['--eval', 'setTimeout(() => {}, 60_000); console.log()'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(bare.stdout, 'data');
  await sleep(SETTLE_MS);
  const rows = ['VmRSS', 'RssAnon'].map((figure): BenchRow => {
    const [value, other] = [memoryOf(pid, figure), memoryOf(bare.pid ?? 0, figure)];
    const compared = {
      against: 'a bare Node process',
      ratio: value / other,
      goal: 'at most 1.5',
      met: value <= 1.5 * other,
    };
    return { what: `memory, idle, ${figure}`, value: value / 1024, unit: 'MiB', ...compared };
  });
  bare.kill();
  return rows;
}

/** Each client sends its next request when it has its reply. Milliseconds per request. */
async function measure(
  { socket }: Contestant,
  workload: Workload,
  clients: number,
  seconds: number,
): Promise<number[]> {
  const latencies: number[] = [];
  const end = performance.now() + seconds * 1000;
  const open = await Promise.all(Array.from({ length: clients }, () => openClient(socket)));
  await Promise.all(open.map((each) => drive(each, workload, end, latencies)));
  for (const each of open) each.destroy();
  return latencies;
}

async function openClient(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
}

function drive(socket: Socket, { frame, replyNumber }: Workload, end: number, latencies: number[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let sent = performance.now();
  let missing = -1;
  socket.on('data', (chunk: Buffer) => {
    if (missing < 0) {
      if (chunk[4] !== replyNumber) reject(new Error(`the agent replied with message ${chunk[4]}`));
      missing = chunk.readUInt32BE(0) + 4;
    }
    missing -= chunk.length;
    if (missing > 0) return;
    missing = -1;
    const now = performance.now();
    latencies.push(now - sent);
    if (now >= end) {
      resolve();
      return;
    }
    sent = performance.now();
    socket.write(frame);
  });
  socket.once('error', reject);
  socket.write(frame);
  return promise;
}

async function makeWorkloads(directory: string): Promise<Workload[]> {
  const path = (name: string): string => join(directory, name);
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path('ca')]);
  for (const [name, type, bits] of [
    ['ed25519', 'ed25519', '256'],
    ['cert', 'ed25519', '256'],
    ['p256', 'ecdsa', '256'],
    ['rsa', 'rsa', '3072'],
  ] as const)
    await execa('ssh-keygen', ['-q', '-t', type, '-b', bits, '-N', '', '-C', name, '-f', path(name)]);
  await execa('ssh-keygen', ['-q', '-s', path('ca'), '-I', 'bench', '-n', 'alice', '-V', '+1d', path('cert.pub')]);
  const blob = (name: string): Uint8Array => parsePublicKeyLine(readFileSync(path(`${name}.pub`), 'utf8')).blob;
  const certificate = decodeBase64(readFileSync(path('cert-cert.pub'), 'utf8').split(' ')[1] ?? '');
  const data = new Uint8Array(600).fill(7); // about what ssh asks to sign for a login with a certificate
  const sign = (what: string, keyBlob: Uint8Array, flags = 0): Workload => ({
    what,
    frame: encodeAgentFrame(encodeSignRequest({ keyBlob, data, flags })),
    replyNumber: replyNumbers.signature,
  });
  return [
    { what: 'list', frame: encodeAgentFrame(encodeListRequest()), replyNumber: replyNumbers.identities },
    sign('Ed25519', blob('ed25519')),
    sign('Ed25519 certificate', certificate),
    sign('ECDSA P-256', blob('p256')),
    sign('RSA-3072', blob('rsa'), 4),
  ];
}

async function addKeys(socket: string, directory: string): Promise<void> {
  for (const name of ['ed25519', 'cert', 'p256', 'rsa'])
    await execa('ssh-add', ['-q', join(directory, name)], { env: { SSH_AUTH_SOCK: socket } });
}

async function start(name: Name, command: readonly [string, ...string[]], directory: string): Promise<Contestant> {
  const socket = join(directory, `${name}.sock`);
  const [file, ...args] = [...command, '-D', '-a', socket];
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return {
    name,
    socket,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await once(child, 'exit');
    },
  };
}

/** KiB. */
function memoryOf(pid: number, figure: string): number {
  return Number(new RegExp(`^${figure}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN);
}
