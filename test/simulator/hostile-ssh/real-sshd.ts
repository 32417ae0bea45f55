/** A real OpenSSH sshd with host keys of its own, on a free port of this machine's loopback addresses. Debian: openssh-server. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { type PublicKeyLine, parsePublicKeyLine } from '#openssh/public-key.ts';
import { freePort } from '#test/support/free-port.ts';

const SSHD = '/usr/sbin/sshd';
/** Privilege separation wants it when sshd runs as root. */
const PRIVSEP_DIRECTORY = '/run/sshd';
const START_TIMEOUT_MS = 60_000;

export interface HostKeySpec {
  readonly type: 'ed25519' | 'ecdsa' | 'rsa';
  readonly bits?: number;
  /** Serve a certificate for it too. */
  readonly certified?: boolean;
}

export interface RealSshd extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** In the order of the request. */
  readonly hostKeys: readonly PublicKeyLine[];
  /** What sshd has logged so far, at DEBUG1. */
  log(): string;
}

export interface SshdOptions {
  readonly keys: readonly HostKeySpec[];
  readonly addresses?: readonly string[];
  readonly port?: number;
  readonly config?: readonly string[];
}

export async function startRealSshd({
  keys,
  addresses = ['127.0.0.1'],
  port,
  config = [],
}: SshdOptions): Promise<RealSshd> {
  if (process.getuid?.() === 0) await mkdir(PRIVSEP_DIRECTORY, { recursive: true, mode: 0o755 });
  const directory = await mkdtemp(join(tmpdir(), 'countersign-sshd-'));
  const files = await Promise.all(keys.map((spec, index) => makeHostKey(directory, spec, index)));
  const lines = [
    ...files.map((file) => `HostKey ${file}`),
    ...files.filter((_, index) => keys[index]?.certified === true).map((file) => `HostCertificate ${file}-cert.pub`),
    'UsePAM no',
    'PidFile none',
    'MaxStartups 1000',
    'LogLevel DEBUG1',
    ...config,
  ];
  const chosen = port ?? (await freePort());
  const configFile = join(directory, 'sshd_config');
  const listen = addresses.map(
    (address) => `ListenAddress ${address.includes(':') ? `[${address}]` : address}:${chosen}`,
  );
  await writeFile(configFile, [...listen, ...lines, ''].join('\n'));
  const sshd = spawn(SSHD, ['-D', '-e', '-f', configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
  const log: string[] = [];
  sshd.stderr.setEncoding('utf8').on('data', (text: string) => log.push(text));
  const host = addresses[0] ?? '127.0.0.1';
  await untilListening(sshd, addresses.length, log);
  const hostKeys = await Promise.all(
    files.map(async (file) => parsePublicKeyLine(await readFile(`${file}.pub`, 'utf8'))),
  );
  return {
    host,
    port: chosen,
    hostKeys,
    log: () => log.join(''),
    [Symbol.asyncDispose]: async () => {
      if (sshd.exitCode === null && sshd.kill()) await once(sshd, 'exit');
      await rm(directory, { recursive: true });
    },
  };
}

async function makeHostKey(directory: string, { type, bits, certified }: HostKeySpec, index: number): Promise<string> {
  const file = join(directory, `host-key-${index}`);
  await execa('ssh-keygen', [
    '-q',
    '-t',
    type,
    ...(bits === undefined ? [] : ['-b', String(bits)]),
    '-N',
    '',
    '-f',
    file,
  ]);
  if (certified === true) {
    await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', `${file}-ca`]);
    await execa('ssh-keygen', [
      '-q',
      '-s',
      `${file}-ca`,
      '-I',
      'test host',
      '-h',
      '-n',
      'localhost',
      '-V',
      '+1h',
      `${file}.pub`,
    ]);
  }
  return file;
}

/** It says so once for each address, one after the other. */
async function untilListening(sshd: ChildProcess, addresses: number, log: readonly string[]): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (log.join('').split('Server listening on ').length <= addresses) {
    if (sshd.exitCode !== null) throw new Error(`sshd did not start:\n${log.join('')}`);
    if (performance.now() > deadline) throw new Error(`sshd does not listen:\n${log.join('')}`);
    await sleep(10);
  }
}
