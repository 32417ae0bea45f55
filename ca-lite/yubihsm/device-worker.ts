/**
 * Keeps one session with one device open, and works through the queue with it: one command at a time, an echo when there
 * is nothing to do, a new session when the old one is lost, an orderly end.
 *
 * After a silence that may have cost the session its slot (the process was stopped, the machine slept) an echo goes in
 * front of a signature: a slot that another client holds by now would fail the signature with a wrong MAC, and that is
 * never repeated (see `retry.ts`).
 */
import type { AuditDrain } from './audit-drain.ts';
import type { Clock } from './clock.ts';
import type { CommandQueue, Job } from './command-queue.ts';
import type { Command } from './commands/command.ts';
import { type DeviceInfo, getDeviceInfo } from './commands/device.ts';
import type { Connector } from './connector.ts';
import { HsmError, isHsmError } from './errors.ts';
import type { HsmEvent } from './hsm-event.ts';
import { maxAttempts, mayRecover, mayRepeat } from './retry.ts';
import type { AuthenticationKeys } from './scp03.ts';
import { openSession, type Session } from './session.ts';
import type { SignatureLedger } from './signature-ledger.ts';

/** An echo is due after this long without a command; the device ends a session after 30 seconds. */
const keepAliveMs = 15_000;
/** After this long without a command the session may be gone. */
const staleMs = 25_000;
const commandTimeoutMs = 30_000;
const firstPauseMs = 100;
const longestPauseMs = 5_000;
const pauseWithoutHopeMs = 30_000;

/** One device, and who opens its session. */
export interface DeviceSettings {
  connector: Connector;
  authKeyId: number;
  keys: AuthenticationKeys;
  /** Reads and frees the device's audit log, when an auditor's key is there. */
  drain?: AuditDrain;
  /** Where signatures are noted for the drain that joins them to the device's log. */
  ledger?: SignatureLedger;
}

/** What a worker asks of whoever made it. */
export interface WorkerHooks {
  /** Looks at a device before it gets work; throws when it must not. */
  check(session: Session, info: DeviceInfo): Promise<void>;
  report(event: HsmEvent): void;
  /** Called whenever `ready` or `failure` changed. */
  changed(): void;
}

/** A device at work. */
export class DeviceWorker {
  readonly #settings: DeviceSettings;
  readonly #queue: CommandQueue<Command<unknown>>;
  readonly #hooks: WorkerHooks;
  readonly #clock: Clock;
  #lastContact = 0;
  #failures = 0;
  /** Says whether a session is open. */
  ready = false;
  /** Why there is no session. */
  failure: HsmError | undefined;
  info: DeviceInfo | undefined;

  constructor(settings: DeviceSettings, queue: CommandQueue<Command<unknown>>, hooks: WorkerHooks, clock: Clock) {
    this.#settings = settings;
    this.#queue = queue;
    this.#hooks = hooks;
    this.#clock = clock;
  }

  /** The connector's URL. */
  get name(): string {
    return this.#settings.connector.name;
  }

  /** Works until the signal comes; then the session is closed. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const session = await this.#open();
      if (session === undefined) await this.#pause(signal);
      else await this.#serve(session, signal);
    }
    await this.#settings.drain?.[Symbol.asyncDispose]();
  }

  async #open(): Promise<Session | undefined> {
    try {
      const session = await openSession(this.#settings);
      await this.#admit(session);
      return session;
    } catch (error) {
      this.#fail(asHsmError(error));
      return undefined;
    }
  }

  async #admit(session: Session): Promise<void> {
    try {
      this.info = await session.execute(getDeviceInfo());
      await this.#hooks.check(session, this.info);
    } catch (error) {
      await session.close();
      throw error;
    }
    this.#lastContact = this.#clock.now();
    this.#failures = 0;
    this.failure = undefined;
    this.ready = true;
    this.#hooks.changed();
    this.#hooks.report({ kind: 'device-ready', device: this.name, info: this.info });
  }

  #fail(error: HsmError): void {
    const news = this.ready || this.failure?.code !== error.code;
    this.ready = false;
    this.failure = error;
    this.#failures++;
    this.#hooks.changed();
    if (news) this.#hooks.report({ kind: 'device-lost', device: this.name, error });
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const growing = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(16, this.#failures - 1));
    await this.#wait(mayRecover(this.failure) ? growing : pauseWithoutHopeMs, signal);
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    await this.#clock.wait(ms, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  async #serve(session: Session, signal: AbortSignal): Promise<void> {
    await using _ = session;
    while (!signal.aborted && !session.lost) {
      const job = this.#queue.take();
      if (job !== undefined) await this.#runJob(session, job);
      else await this.#idle(session, signal);
    }
    this.ready = false;
    this.#hooks.changed();
  }

  async #idle(session: Session, signal: AbortSignal): Promise<void> {
    if (this.#settings.drain?.due) return this.#drain();
    const due = this.#lastContact + keepAliveMs - this.#clock.now();
    if (due <= 0) return this.#touch(session);
    const woken = new AbortController();
    const either = AbortSignal.any([signal, woken.signal]);
    await Promise.race([this.#queue.ready(either), this.#wait(due, either)]);
    woken.abort();
  }

  /** Echoes; a failure shows in `session.lost`. */
  async #touch(session: Session): Promise<void> {
    try {
      await session.keepAlive();
      this.#lastContact = this.#clock.now();
      this.#settings.drain?.noticed();
    } catch (error) {
      this.#fail(asHsmError(error));
    }
  }

  async #runJob(session: Session, job: Job<Command<unknown>>): Promise<void> {
    const command = job.work;
    if (this.#clock.now() - this.#lastContact > staleMs) await this.#touch(session);
    if (this.#settings.drain?.urgent) await this.#drain();
    if (session.lost) return this.#queue.putBack(job);
    job.attempts++;
    const start = this.#clock.now();
    const { ledger, authKeyId } = this.#settings;
    const noted = ledger?.begin(command, authKeyId);
    try {
      const result = await session.execute(command, AbortSignal.timeout(commandTimeoutMs));
      if (noted) noted.outcome = 'signed';
      this.#lastContact = this.#clock.now();
      this.#queue.measured(this.#lastContact - start);
      job.resolve(result);
    } catch (error) {
      ledger?.failed(noted, error, session.lost);
      await this.#failed(session, job, error);
    }
    this.#settings.drain?.noticed(command.name);
  }

  async #failed(session: Session, job: Job<Command<unknown>>, error: unknown): Promise<void> {
    if (session.lost) this.#fail(asHsmError(error));
    else this.#lastContact = this.#clock.now();
    const logFull = isHsmError(error, 'device-log-full') && this.#settings.drain !== undefined;
    if (logFull) await this.#drain();
    const again = logFull || (session.lost && mayRepeat(job.work.effect, error));
    if (again && job.attempts < maxAttempts) this.#queue.putBack(job);
    else job.reject(error);
  }

  /** Frees the audit log. A failure does not end the service: the next command tells when the log is really full. */
  async #drain(): Promise<void> {
    const { drain } = this.#settings;
    if (drain === undefined) return;
    try {
      const entries = await drain.run();
      if (entries > 0) this.#hooks.report({ kind: 'log-drained', device: this.name, entries });
    } catch (error) {
      const cause =
        error instanceof HsmError ? error : new HsmError('unavailable', 'the audit cannot be stored', { cause: error });
      this.#hooks.report({ kind: 'log-alarm', device: this.name, error: cause });
    }
  }
}

function asHsmError(error: unknown): HsmError {
  if (error instanceof HsmError) return error;
  throw error;
}
