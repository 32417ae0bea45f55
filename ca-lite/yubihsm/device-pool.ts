/**
 * Devices that hold the same key, behind one queue. Each device takes the next job when it is free, so two devices sign
 * twice as fast, and when one dies the other goes on with the job that was under way (see `retry.ts` for which).
 */
import { type Clock, systemClock } from './clock.ts';
import { CommandQueue, type Priority } from './command-queue.ts';
import type { Command } from './commands/command.ts';
import type { DeviceInfo } from './commands/device.ts';
import { type DeviceSettings, DeviceWorker } from './device-worker.ts';
import { HsmError } from './errors.ts';
import type { HsmEvent } from './hsm-event.ts';
import { mayRecover } from './retry.ts';
import type { Session } from './session.ts';

/** How a pool is made. */
export interface DevicePoolOptions {
  devices: readonly DeviceSettings[];
  /** Jobs that may wait in each priority; 1,000 when not given. */
  maxWaiting?: number;
  /** Looks at a device whenever a session was opened; throws when it must not get work. */
  check?: (session: Session, info: DeviceInfo) => Promise<void>;
  report?: (event: HsmEvent) => void;
  clock?: Clock;
}

/** The state of one device, for people and metrics. */
export interface DeviceState {
  name: string;
  ready: boolean;
  failure: HsmError | undefined;
  info: DeviceInfo | undefined;
}

/** Devices at work. Disposing closes the sessions and lets the devices' slots go. */
export class DevicePool implements AsyncDisposable {
  readonly #queue: CommandQueue<Command<unknown>>;
  readonly #workers: DeviceWorker[];
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;

  constructor(options: DevicePoolOptions) {
    if (options.devices.length === 0) throw new TypeError('a pool needs a device');
    this.#queue = new CommandQueue({ maxWaiting: options.maxWaiting ?? 1000 });
    const hooks = {
      check: options.check ?? (async () => {}),
      report: options.report ?? (() => {}),
      changed: () => this.#changed(),
    };
    const clock = options.clock ?? systemClock;
    this.#workers = options.devices.map((device) => new DeviceWorker(device, this.#queue, hooks, clock));
    this.#running = Promise.all(this.#workers.map((worker) => worker.run(this.#stop.signal)));
    this.#running.catch(() => this.#queue.close());
  }

  /**
   * Runs a command on the next free device. `signal` is the caller's deadline: a command that waits is given up, one that
   * is under way is finished for nobody. Throws {@link HsmError}, {@link HsmDeviceError}, {@link HsmOverloadedError}.
   */
  async execute<T>(command: Command<T>, options: { priority: Priority; signal?: AbortSignal }): Promise<T> {
    const hopeless = this.#hopeless();
    if (hopeless) throw hopeless;
    try {
      return (await this.#queue.add(command, options.priority, options.signal)) as T;
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** The state of each device. */
  get devices(): DeviceState[] {
    return this.#workers.map(({ name, ready, failure, info }) => ({ name, ready, failure, info }));
  }

  /** Jobs that wait, for metrics. */
  get waiting(): number {
    return this.#queue.length();
  }

  /** Seconds in which the present queue drains. */
  get drainSeconds(): number {
    return this.#queue.drainSeconds();
  }

  #changed(): void {
    this.#queue.workers = this.#workers.filter((worker) => worker.ready).length;
    const hopeless = this.#hopeless();
    if (hopeless) this.#queue.rejectAll(hopeless);
  }

  /** The first device's failure, when every device has one that waiting does not mend. */
  #hopeless(): HsmError | undefined {
    const failures = this.#workers.map(({ failure }) => failure);
    return failures.every((failure) => failure !== undefined && !mayRecover(failure)) ? failures[0] : undefined;
  }

  /** Tells a caller whose deadline came that there was no device, when that is why. */
  #explained(error: unknown): unknown {
    const [first] = this.#workers;
    const down = this.#workers.every((worker) => !worker.ready);
    if (!(error instanceof HsmError) || error.code !== 'unavailable' || !down || !first?.failure) return error;
    return new HsmError('unavailable', `no device can sign: ${first.failure.message}`, { cause: error.cause });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#queue.close();
    this.#stop.abort();
    await this.#running;
  }
}
