/**
 * The agent keeps what `ssh-config install` wrote up to date: which CA keys ssh trusts, and what is revoked. At its start, from time to time,
 * and when a new certificate came, for then the CA is reached. Only the agent that ssh is told of does it, and only for the CA that is installed;
 * nothing is loaded and nothing done where nothing is installed. What goes wrong is told, and fails nothing. Does I/O.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlSshConfig } from '#protocol/control.ts';
import { type Failure, isFailure } from '../../failure.ts';

/** As hosts ask. */
const EVERY_MS = 10 * 60_000;

export interface FreshParts {
  /** The user's directory of ssh, absolute; undefined: what is installed there is left alone. */
  readonly sshDirectory: string | undefined;
  /** Of this agent. */
  readonly socket: string;
  /** Holds the trusted CA; undefined: where `countersign bootstrap` of this user puts it. */
  readonly stateDirectory: string | undefined;
  /** Told after every change. */
  readonly notify: () => void;
  /** Told of faults of ours. */
  readonly report: (error: unknown) => void;
}

export class FreshSshConfig implements AsyncDisposable {
  readonly #parts: FreshParts;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isWanted = false;
  #known: ControlSshConfig | undefined;

  constructor(parts: FreshParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setInterval(this.look, EVERY_MS).unref();
    this.look();
  }

  /** Undefined while nothing is installed for this agent. */
  describe(): ControlSshConfig | undefined {
    return this.#known;
  }

  /** Looks now; one look at a time, and once more after one that had begun before. */
  readonly look = (): void => {
    if (this.#stop.signal.aborted) return;
    this.#isWanted = true;
    this.#running ??= this.#lookWhileWanted().finally(() => {
      this.#running = undefined;
      if (this.#isWanted) this.look();
    });
  };

  /** Resolves at the end of the look that runs. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    clearInterval(this.#timer);
    await this.idle();
  }

  async #lookWhileWanted(): Promise<void> {
    while (this.#isWanted && !this.#stop.signal.aborted) {
      this.#isWanted = false;
      await this.#look().catch(this.#parts.report);
    }
  }

  async #look(): Promise<void> {
    const { sshDirectory, socket, stateDirectory } = this.#parts;
    if (sshDirectory === undefined || !existsSync(join(sshDirectory, 'countersign', 'config')))
      return this.#tell(undefined);
    const { refreshForAgent } = await import('./refresh-for-agent.ts');
    const { signal } = this.#stop;
    try {
      const refreshed = await refreshForAgent({ sshDirectory, socket, stateDirectory, signal });
      if (refreshed === undefined) return this.#tell(undefined);
      const { reached, changed, remarks } = refreshed;
      const now = Date.now();
      const before: Times = this.#known ?? {};
      this.#tell({
        ...times({
          refreshedAt: reached ? now : before.refreshedAt,
          changedAt: changed.length > 0 ? now : before.changedAt,
        }),
        remarks: remarks.map((remark) => remark.slice(0, MAX_TEXT)),
      });
    } catch (error) {
      if (signal.aborted) return;
      if (!isFailure(error)) throw error;
      this.#tell({ ...times(this.#known ?? {}), remarks: [], failure: tell(error) });
    }
  }

  #tell(known: ControlSshConfig | undefined): void {
    if (this.#known === undefined && known === undefined) return;
    this.#known = known;
    this.#parts.notify();
  }
}

const MAX_TEXT = 4096;

function tell({ code, message, advice }: Failure): NonNullable<ControlSshConfig['failure']> {
  const told = { code, message: message.slice(0, MAX_TEXT) };
  return advice === undefined ? told : { ...told, advice: advice.slice(0, MAX_TEXT) };
}

interface Times {
  readonly refreshedAt?: number | undefined;
  readonly changedAt?: number | undefined;
}

function times({ refreshedAt, changedAt }: Times) {
  return {
    ...(refreshedAt === undefined ? {} : { refreshedAt }),
    ...(changedAt === undefined ? {} : { changedAt }),
  };
}
