/** What the demo plays on: a directory that goes when it ends, names in a DNS server of its own, real sshds on loopback addresses. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { startDnsServer } from '#test/simulator/dns/dns-server.ts';
import { freePort } from '#test/support/free-port.ts';
import { caProgram } from '#test/support/programs.ts';
import { DemoFailure } from './narration.ts';

export interface DemoHost {
  readonly name: string;
  readonly address: string;
}

/** The principal of the user's certificate, which each sshd of the demo maps to the account that runs it. */
export const DEMO_PRINCIPAL = 'alice';

export const hosts: readonly DemoHost[] = [
  { name: 'web1.demo.internal', address: '127.0.0.2' },
  { name: 'web2.demo.internal', address: '127.0.0.3' },
  { name: 'web3.demo.internal', address: '127.0.0.4' },
];

export interface Stage {
  readonly directory: string;
  /** The port of every sshd. */
  readonly port: number;
  readonly dnsServer: string;
  /** Kept until the demo ends. */
  readonly stack: AsyncDisposableStack;
}

export async function openStage(stack: AsyncDisposableStack): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-demo-'));
  stack.defer(async () => rm(directory, { recursive: true, force: true }));
  const addresses = new Map(hosts.map(({ name, address }) => [name, address]));
  const dns = stack.use(
    await startDnsServer(({ name, type }) => {
      const data = addresses.get(name.toLowerCase());
      if (data === undefined) return { rcode: 'NXDOMAIN' };
      return type === 'A' ? { answers: [{ type: 'A', name, ttl: 60, data }] } : {};
    }),
  );
  return { directory, port: await freePort(), dnsServer: dns.address, stack };
}

/** A real sshd with a new host key, listening on the host's own address. */
export async function startSshd({ name, address }: DemoHost, stage: Stage): Promise<{ config: string; pid: number }> {
  const home = join(stage.directory, name);
  await mkdir(home, { recursive: true, mode: 0o755 });
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(home, 'ssh_host_ed25519_key')]);
  await mkdir(join(home, 'sshd_config.d'));
  const config = join(home, 'sshd_config');
  const pidFile = join(home, 'sshd.pid');
  const lines = [
    `Include ${join(home, 'sshd_config.d')}/*.conf`,
    `Port ${stage.port}`,
    `ListenAddress ${address}`,
    `HostKey ${join(home, 'ssh_host_ed25519_key')}`,
    `PidFile ${pidFile}`,
    `AuthorizedPrincipalsFile ${join(home, 'principals')}`,
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin yes',
    'StrictModes no', // the demo lives below the world-writable /tmp
  ];
  await writeFile(join(home, 'principals'), `${DEMO_PRINCIPAL}\n`);
  await writeFile(config, `${lines.join('\n')}\n`);
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', config], { stdio: 'ignore' });
  stage.stack.defer(async () => end(child));
  await answers(address, stage.port);
  return { config, pid: child.pid ?? 0 };
}

/** `countersign-ca serve`, once it answers. */
export async function startCa(
  args: readonly string[],
  stage: Stage,
): Promise<{ url: string; rootFingerprint: string }> {
  const argv = [...caProgram(), ...args, '--json'] as const;
  return (await startProgram(argv, stage, (line) => line === '}')) as { url: string; rootFingerprint: string };
}

/** Starts what runs until the demo ends. @returns the JSON that it printed up to the line that says it is ready, if it was any */
export async function startProgram(
  [file = '', ...args]: readonly string[],
  stage: Stage,
  isReady: (line: string) => boolean,
): Promise<unknown> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  stage.stack.defer(async () => end(child));
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  let text = '';
  for await (const line of createInterface({ input: child.stdout })) {
    text += line;
    if (!isReady(line)) continue;
    child.stdout.resume(); // what it prints from here on is nobody's
    const start = text.indexOf('{');
    return start < 0 ? undefined : (JSON.parse(text.slice(start)) as unknown);
  }
  throw new DemoFailure(`${file} did not start:\n${errors}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function answers(host: string, port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const socket = connect(port, host);
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await sleep(50);
    } finally {
      socket.destroy();
    }
  }
  throw new DemoFailure(`sshd does not listen on ${host}:${port}`);
}
