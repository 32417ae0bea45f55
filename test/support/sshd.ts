/**
 * A real OpenSSH sshd with its own host keys and configuration in a directory laid out like /etc/ssh, so that whatever changes an
 * sshd can be tried on it. On a free port of loopback, or on any address inside a network namespace. Debian: openssh-server.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { type PublicKeyLine, parsePublicKeyLine } from '#openssh/public-key.ts';
import { freePort } from './free-port.ts';

export const SSHD = '/usr/sbin/sshd';
/** Privilege separation wants it when sshd runs as root. */
const PRIVSEP_DIRECTORY = '/run/sshd';
const START_TIMEOUT_MS = 60_000;

export type HostKeyKind = 'ed25519' | 'ecdsa' | 'rsa';

export interface SshdOptions {
  /** Default: one Ed25519 key. */
  readonly keys?: readonly HostKeyKind[];
  /** Default: 127.0.0.1. */
  readonly addresses?: readonly string[];
  /** Default: a free one. */
  readonly port?: number;
  /** Whether sshd_config begins with an Include of sshd_config.d, as Debian's does. Default: true. */
  readonly include?: boolean;
  /** More lines for the end of sshd_config. */
  readonly config?: readonly string[];
  /** Name of a network namespace to run in; as root. */
  readonly namespace?: string;
  /** The private keys are given to an ssh-agent and taken from the disk; sshd signs through `HostKeyAgent`. */
  readonly hostKeyAgent?: boolean;
  /** Called with the directory in place of /etc/ssh while it is empty, e.g. to mount something there; undone at the end. */
  readonly prepareEtc?: (etc: string) => Promise<AsyncDisposable>;
}

export interface TestHostKey extends PublicKeyLine {
  readonly kind: HostKeyKind;
  readonly path: string;
}

export interface TestSshd extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** Everything below is in here; deleted at the end. */
  readonly directory: string;
  /** In place of /etc/ssh. */
  readonly etc: string;
  readonly configPath: string;
  readonly dropInDirectory: string;
  readonly hostKeys: readonly TestHostKey[];
  readonly pid: number;
  /** What sshd has logged so far. */
  log(): string;
  /** Has sshd read its configuration anew; resolves when it listens again. Whoever connects in between may hang in the sshd that goes. */
  reload(): Promise<void>;
  /** Ends it, as SIGTERM does; resolves when nobody listens any more. */
  stop(): Promise<void>;
}

export async function startSshd(options: SshdOptions = {}): Promise<TestSshd> {
  if (process.getuid?.() === 0) await mkdir(PRIVSEP_DIRECTORY, { recursive: true, mode: 0o755 });
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'countersign-sshd-'));
  stack.defer(async () => rm(directory, { recursive: true, force: true }));
  const etc = join(directory, 'etc/ssh');
  const dropInDirectory = join(etc, 'sshd_config.d');
  await mkdir(etc, { recursive: true });
  if (options.prepareEtc !== undefined) stack.use(await options.prepareEtc(etc));
  await mkdir(dropInDirectory);
  const hostKeys = await Promise.all((options.keys ?? ['ed25519']).map(async (kind) => makeHostKey(etc, kind)));
  const agentLines = options.hostKeyAgent === true ? await moveKeysToAgent(stack, directory, hostKeys) : [];
  const { addresses = ['127.0.0.1'] } = options;
  const port = options.port ?? (await freePort());
  const configPath = join(etc, 'sshd_config');
  const lines = [
    ...(options.include === false ? [] : [`Include ${dropInDirectory}/*.conf`, '']),
    ...addresses.map((address) => `ListenAddress ${address.includes(':') ? `[${address}]` : address}:${port}`),
    ...hostKeys.map(({ path }) => `HostKey ${path}`),
    ...agentLines,
    `PidFile ${directory}/sshd.pid`,
    'UsePAM no',
    'MaxStartups 1000',
    ...(options.config ?? []),
  ];
  await writeFile(configPath, `${lines.join('\n')}\n`);
  const pidFile = join(directory, 'sshd.pid');
  const { child, log } = await launch(configPath, options.namespace);
  stack.defer(async () => stop(child));
  await untilReady(log, pidFile);
  const owned = stack.move();
  return {
    address: addresses[0] ?? '127.0.0.1',
    port,
    directory,
    etc,
    configPath,
    dropInDirectory,
    hostKeys,
    log,
    reload: async () => {
      await untilReady(log, pidFile);
      await rm(pidFile);
      child.kill('SIGHUP');
      await untilReady(log, pidFile);
    },
    stop: async () => stop(child),
    pid: child.pid ?? 0, // `ip netns exec` becomes sshd, it does not start one
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

async function makeHostKey(etc: string, kind: HostKeyKind): Promise<TestHostKey> {
  const path = join(etc, `ssh_host_${kind}_key`);
  await execa('ssh-keygen', ['-q', '-t', kind, ...(kind === 'rsa' ? ['-b', '2048'] : []), '-N', '', '-f', path]);
  return { kind, path, ...parsePublicKeyLine(await readFile(`${path}.pub`, 'utf8')) };
}

async function moveKeysToAgent(
  stack: AsyncDisposableStack,
  directory: string,
  keys: readonly TestHostKey[],
): Promise<string[]> {
  const socket = join(directory, 'host-agent.sock');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
  stack.defer(async () => stop(agent));
  await once(agent.stdout, 'data'); // it prints the socket once it listens there
  for (const { path } of keys) {
    await execa('ssh-add', ['-q', path], { env: { SSH_AUTH_SOCK: socket } });
    await rm(path);
  }
  return [`HostKeyAgent ${socket}`];
}

async function launch(configPath: string, namespace: string | undefined) {
  const command = [
    ...(namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace]),
    SSHD,
    '-D',
    '-e',
    '-f',
    configPath,
  ];
  const [file = SSHD, ...args] = command;
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  const listening = new Promise<void>((done, fail) => {
    child.once('exit', () => fail(new Error(`sshd did not start:\n${text}`)));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (/^Server listening on /m.test(text)) done();
    });
  });
  await withDeadline(listening, () => new Error(`sshd does not listen:\n${text}`));
  return { child, log: () => text };
}

/**
 * It says that it listens before it handles signals: a SIGHUP in between ends it. The file with its process ID comes after both, and goes
 * when it starts anew.
 */
async function untilReady(log: () => string, pidFile: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!existsSync(pidFile)) {
    if (Date.now() > deadline) throw new Error(`sshd does not listen:\n${log()}`);
    await sleep(10);
  }
}

async function withDeadline<T>(promise: Promise<T>, error: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(error()), START_TIMEOUT_MS);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.kill()) await once(child, 'exit');
}
