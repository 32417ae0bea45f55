/**
 * Takes the entries of a device's audit log over into our own audit, and frees them on the device: read, verify the chain,
 * store, and only then free.
 *
 * The log holds 62 entries. A device that is told to force its audit stops working when they are used up, so the drain is
 * due long before that, and urgent (in front of the next command) when it comes near. The auditor's authentication key is
 * another one than the signer's; its session lives as long as one drain.
 */
import type { CommandName } from './commands/command.ts';
import { getDeviceInfo } from './commands/device.ts';
import { getLogEntries, type LogPage, setLogIndex } from './commands/log.ts';
import type { Connector } from './connector.ts';
import { type HsmError, isHsmError } from './errors.ts';
import { type LogPosition, type VerifiedLog, verifyLogChain } from './log-chain.ts';
import type { AuthenticationKeys } from './scp03.ts';
import { openSession, type Session } from './session.ts';

/** Commands after which the log is read when there is time, and after which it is read before anything else. */
const dueAfter = 20;
const urgentAfter = 45;
/** Echoes, one each 15 seconds of silence, after which the log is read anyhow. */
const dueAfterEchoes = 4;

/** Where entries go. Both calls return when what they were given is durable. */
export interface DeviceLogSink {
  /** The last entry that was stored for the device with this serial number. */
  lastPosition(serial: number): Promise<LogPosition | undefined>;
  /**
   * Stores fresh entries. `alarm` is there when they do not follow what was stored before; unlogged boots and
   * authentications are those that the device counted while its log was full.
   */
  append(batch: DeviceLogBatch): Promise<void>;
}

/** What one drain found. */
export interface DeviceLogBatch extends VerifiedLog {
  serial: number;
  unloggedBoots: number;
  unloggedAuthentications: number;
  alarm?: HsmError;
}

/** Drains the log of one device. */
export class AuditDrain implements AsyncDisposable {
  readonly #connector: Connector;
  readonly #authKeyId: number;
  readonly #keys: AuthenticationKeys;
  readonly #sink: DeviceLogSink;
  #commands = dueAfter;
  #echoes = 0;

  constructor(options: { connector: Connector; authKeyId: number; keys: AuthenticationKeys; sink: DeviceLogSink }) {
    this.#connector = options.connector;
    this.#authKeyId = options.authKeyId;
    this.#keys = options.keys;
    this.#sink = options.sink;
  }

  /** Says whether the log should be read when there is nothing else to do. */
  get due(): boolean {
    return this.#commands >= dueAfter || this.#echoes >= dueAfterEchoes;
  }

  /** Says whether the log must be read before the next command. */
  get urgent(): boolean {
    return this.#commands >= urgentAfter;
  }

  /** Counts what may have made an entry: a command, or an echo when there is no name. */
  noticed(command?: CommandName): void {
    if (command === undefined) this.#echoes++;
    else this.#commands++;
  }

  /**
   * Reads, verifies, stores and frees; returns how many entries were new. Throws {@link HsmError}; a broken chain is
   * stored with its alarm before it is thrown, and its entries are freed, so that the device goes on.
   */
  async run(): Promise<number> {
    this.#commands = 0;
    this.#echoes = 0;
    await using session = await openSession({
      connector: this.#connector,
      authKeyId: this.#authKeyId,
      keys: this.#keys,
    });
    const { serial } = await session.execute(getDeviceInfo());
    const page = await session.execute(getLogEntries());
    const batch = verified(serial, page, await this.#sink.lastPosition(serial));
    if (batch.fresh.length > 0 || batch.alarm) await this.#sink.append(batch);
    await free(session, page);
    if (batch.alarm) throw batch.alarm;
    return batch.fresh.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run().catch((error: unknown) => {
      if (!isHsmError(error)) throw error;
    });
  }
}

async function free(session: Session, page: LogPage): Promise<void> {
  const last = page.entries.at(-1);
  if (last !== undefined) await session.execute(setLogIndex(last.number));
}

function verified(serial: number, page: LogPage, known: LogPosition | undefined): DeviceLogBatch {
  const { unloggedBoots, unloggedAuthentications } = page;
  const counts = { serial, unloggedBoots, unloggedAuthentications };
  try {
    return { ...verifyLogChain(page.entries, known), ...counts };
  } catch (error) {
    if (!isHsmError(error, 'log-chain-broken')) throw error;
    const last = page.entries.at(-1);
    const position = last === undefined ? undefined : { number: last.number, digest: last.digest };
    return { fresh: [...page.entries], position, linked: false, ...counts, alarm: error };
  }
}
