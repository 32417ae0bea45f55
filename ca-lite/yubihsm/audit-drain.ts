/**
 * Takes the entries of a device's audit log over into our own audit, and frees them on the device: read, verify the chain,
 * join each signature to its certificate, store, and only then free. A signature by a CA key that this CA did not ask for
 * is an alarm: somebody else signs with it.
 *
 * The log holds 62 entries. A device that is told to force its audit stops working when they are used up, so the drain is
 * due long before that, and urgent (in front of the next command) when it comes near. The auditor's authentication key is
 * another one than the signer's; its session lives as long as one drain.
 */
import type { CommandName } from './commands/command.ts';
import { getDeviceInfo } from './commands/device.ts';
import { getLogEntries, type LogPage, setLogIndex } from './commands/log.ts';
import type { Connector } from './connector.ts';
import { HsmError, isHsmError } from './errors.ts';
import { type LogPosition, type VerifiedLog, verifyLogChain } from './log-chain.ts';
import {
  joinRecords,
  joinSession,
  type JoinedSession,
  type JoinedSignature,
  type RecordedSignature,
  signaturesIn,
  type WatchedKey,
} from './log-join.ts';
import type { AuthenticationKeys } from './scp03.ts';
import { openSession, type Session } from './session.ts';
import type { SentSignature, SignatureLedger } from './signature-ledger.ts';

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
  /**
   * Certificates that were to be signed since the last entry of this device was stored, oldest first, without those whose
   * signature was found in a log already. Asked for after a restart only.
   */
  recorded(serial: number): Promise<RecordedSignature[]>;
}

/** What one drain found. */
export interface DeviceLogBatch extends VerifiedLog {
  serial: number;
  unloggedBoots: number;
  unloggedAuthentications: number;
  /** The keys whose signatures were joined; undefined when that is not done. */
  watched?: number[];
  /** Signatures and their certificates. */
  signatures: JoinedSignature[];
  /** The numbers of entries that say that a CA key signed what this CA did not ask for. */
  unknown: number[];
  /** Signatures that the device made for us and did not log. */
  unlogged: number;
  alarm?: HsmError;
}

/** How signatures are joined to certificates. */
export interface JoinSettings {
  /** More may come while the CA serves; none goes: a key that was retired must not sign. */
  keys: readonly WatchedKey[];
  ledger: SignatureLedger;
}

/** What a drain needs. */
export interface AuditDrainOptions {
  connector: Connector;
  authKeyId: number;
  keys: AuthenticationKeys;
  sink: DeviceLogSink;
  /** Entries are stored without being joined when not given. */
  join?: JoinSettings;
}

/** Drains the log of one device. */
export class AuditDrain implements AsyncDisposable {
  readonly #options: AuditDrainOptions;
  #commands = dueAfter;
  #echoes = 0;
  /** Until the log was read once, it may hold what an earlier process asked for. */
  #restarted = true;

  constructor(options: AuditDrainOptions) {
    this.#options = options;
  }

  /** Says whether the log should be read when there is nothing else to do. */
  get due(): boolean {
    return this.#entries >= dueAfter || this.#echoes >= dueAfterEchoes;
  }

  /** Says whether the log must be read before the next command. */
  get urgent(): boolean {
    return this.#entries >= urgentAfter;
  }

  /** What may be in the log: commands of this session, or signatures of all sessions of this process. */
  get #entries(): number {
    return Math.max(this.#commands, this.#options.join?.ledger.sent.length ?? 0);
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
    const { sink, join } = this.#options;
    await using session = await openSession(this.#options);
    const { serial } = await session.execute(getDeviceInfo());
    const decided = join?.ledger.decided() ?? new Set();
    const page = await session.execute(getLogEntries());
    const sent = [...(join?.ledger.sent ?? [])];
    const known = await sink.lastPosition(serial);
    const read = verified(serial, page, known);
    const watched = join?.keys.map(({ keyId }) => keyId);
    const asked = joinSession(signaturesIn(read.fresh, watched ?? []), sent, decided);
    const explainable = known !== undefined && read.alarm === undefined;
    const rest = explainable ? await this.#explain(serial, asked, sent) : { joined: [], unknown: [] };
    const alarm = read.alarm ?? alarmOf(rest.unknown);
    const batch: DeviceLogBatch = {
      ...read,
      ...(watched && { watched }),
      signatures: [...rest.joined, ...asked.joined],
      unknown: rest.unknown,
      unlogged: asked.unlogged,
      ...(alarm && { alarm }),
    };
    if (batch.fresh.length > 0 || alarm) await sink.append(batch);
    join?.ledger.settle(asked.found, decided);
    this.#restarted = false;
    await free(session, page);
    if (alarm) throw alarm;
    return batch.fresh.length;
  }

  /**
   * Explains what this process did not ask for by what an earlier one did, which only the first reading after a start may.
   * (Entries of a device that was never seen before, or whose chain broke, are not held against anybody.)
   */
  async #explain(
    serial: number,
    { left }: JoinedSession,
    sent: readonly SentSignature[],
  ): Promise<{ joined: JoinedSignature[]; unknown: number[] }> {
    if (left.length === 0 || !this.#options.join) return { joined: [], unknown: [] };
    if (!this.#restarted) return { joined: [], unknown: left.map(({ number }) => number) };
    const mine = new Set(sent.map((each) => each.serial));
    const records = (await this.#options.sink.recorded(serial)).filter((record) => !mine.has(record.serial));
    return joinRecords(left, records, this.#options.join.keys);
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

function alarmOf([first]: readonly number[]): HsmError | undefined {
  if (first === undefined) return undefined;
  return new HsmError(
    'log-signature-unknown',
    `entry ${first} of the device's audit log says that a CA key signed, and this CA did not ask for it: somebody else uses the key`,
  );
}

/** What a page says, without what it means for certificates. */
type ReadLog = Omit<DeviceLogBatch, 'watched' | 'signatures' | 'unknown' | 'unlogged'>;

function verified(serial: number, page: LogPage, known: LogPosition | undefined): ReadLog {
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
