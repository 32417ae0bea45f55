/**
 * A child process of a test: what it prints is kept (bounded), it ends with the test, and when the test itself is killed the
 * kernel ends it (`setpriv --pdeathsig`, util-linux).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LabProcess extends AsyncDisposable {
  readonly pid: number;
  /** What it has printed so far, the last mebibyte of it. */
  stdout(): string;
  stderr(): string;
  /** Exit code and signal; one of the two is null. */
  readonly ended: Promise<Ending>;
  /** Undefined while it runs. */
  readonly ending: Ending | undefined;
  signal(name: NodeJS.Signals): void;
  /** Resolves when `stdout()` or `stderr()` fulfils it. @throws when the process ends before, or after `seconds` */
  until(holds: (process: LabProcess) => boolean, seconds?: number): Promise<void>;
  /** SIGTERM, and SIGKILL when that does not help within `seconds`. */
  stop(seconds?: number): Promise<Ending>;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const MAX_KEPT = 1024 * 1024;
/** What waits for a program on a machine that has much else to do. */
const PATIENCE_SECONDS = 60;

/** Starts a program; a shell is never involved. */
export function startProcess(argv: readonly string[], { cwd, env }: ProcessOptions = {}): LabProcess {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], {
    cwd,
    env: env === undefined ? process.env : { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return new Child(child, argv.join(' '));
}

class Child implements LabProcess {
  readonly ended: Promise<Ending>;
  ending: Ending | undefined;
  readonly #child: ChildProcess;
  readonly #title: string;
  readonly #kept = { stdout: '', stderr: '' };

  constructor(child: ChildProcess, title: string) {
    this.#child = child;
    this.#title = title;
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        this.#kept[name] = (this.#kept[name] + text).slice(-MAX_KEPT);
      });
    }
    this.ended = once(child, 'close').then(([code, signal]) => {
      this.ending = { code: code as number | null, signal: signal as NodeJS.Signals | null };
      return this.ending;
    });
    this.ended.catch(() => {}); // a program that is not there: `until` and `stop` report it
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  stdout(): string {
    return this.#kept.stdout;
  }

  stderr(): string {
    return this.#kept.stderr;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async until(holds: (process: LabProcess) => boolean, seconds = PATIENCE_SECONDS): Promise<void> {
    const deadline = performance.now() + seconds * 1000;
    while (!holds(this)) {
      if (this.ending !== undefined) throw this.#failure('ended before it was ready');
      if (performance.now() > deadline) throw this.#failure(`was not ready after ${seconds} s`);
      await Promise.race([sleep(10), this.ended]);
    }
  }

  async stop(seconds = PATIENCE_SECONDS): Promise<Ending> {
    if (this.ending !== undefined) return this.ending;
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), seconds * 1000);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(5);
  }

  #failure(what: string): Error {
    return new Error(`${this.#title}\n${what}:\n${this.stdout()}\n${this.stderr()}`);
  }
}
