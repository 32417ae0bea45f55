/**
 * The simulated device: a message in, a message out. Sessions, the order of checks, the log. It does one command at a
 * time, like the real one; `connector.ts` brings the messages.
 */
import { randomBytes } from 'node:crypto';
import { DeviceChannel } from './channel.ts';
import type { Handler } from './commands/handler.ts';
import { attestationCommands } from './commands/attestation-command.ts';
import { hmacCommands } from './commands/hmac-commands.ts';
import { keyCommands } from './commands/key-commands.ts';
import { objectCommands } from './commands/object-commands.ts';
import { optionCommands } from './commands/option-commands.ts';
import { sshCommand } from './commands/ssh-command.ts';
import { wrapCommands } from './commands/wrap-commands.ts';
import { Cursor, short, word } from './cursor.ts';
import { DeviceMemory } from './device-memory.ts';
import { logCapacity } from './audit-log.ts';
import { commandNumber, listedAlgorithms, Refusal, types } from './numbers.ts';
import type { OffsetReading } from './offset-rule.ts';
import { type Context, demand } from './rules.ts';

const sessionSlots = 16;
const sessionLifeMs = 30_000;
const errorAnswer = 0x7f;

/** How a device is made. */
export interface DeviceOptions {
  /** Where objects, options and log live on; in memory only when not given. */
  stateFile?: string;
  firmware?: readonly [number, number, number];
  serial?: number;
  /** Milliseconds of a clock that only goes forward. */
  now?: () => number;
  reading?: OffsetReading;
  /** Called when a command is done, before it is answered, with the time that it took; for realistic times. */
  onCommand?: (command: number, algorithm: number | undefined, length: number, tookMs: number) => Promise<void>;
}

/** What a command means to the outside, beside its answer. */
export interface DeviceStatistics {
  /** Commands that were executed, by number. */
  executed: Map<number, number>;
  openSessions: number;
  /** Milliseconds in which the device was at work on commands. */
  busyMs: number;
  /** The most sessions that were open at once. */
  mostSessions: number;
}

/** A device. */
export class Device {
  readonly memory: DeviceMemory;
  readonly #firmware: readonly [number, number, number];
  readonly #now: () => number;
  readonly #onCommand: DeviceOptions['onCommand'];
  readonly #handlers: Map<number, Handler>;
  #sessions: (DeviceChannel | undefined)[] = Array.from({ length: sessionSlots });
  #executed = new Map<number, number>();
  #mostSessions = 0;
  #busyMs = 0;
  #bootedAt: number;

  constructor(options: DeviceOptions = {}) {
    this.#firmware = options.firmware ?? [2, 4, 0];
    this.#now = options.now ?? (() => performance.now());
    this.#onCommand = options.onCommand;
    const [major, minor, build] = this.#firmware;
    const logsByDefault = major * 10_000 + minor * 100 + build < 20_301;
    this.memory = new DeviceMemory({ file: options.stateFile, serial: options.serial ?? 12_345_678, logsByDefault });
    this.#handlers = new Map([
      ...objectCommands,
      ...keyCommands,
      ...attestationCommands,
      ...hmacCommands,
      ...wrapCommands,
      ...optionCommands,
      [commandNumber.signSshCertificate, sshCommand(options.reading ?? 'examples')],
      [commandNumber.deviceInfo, (_, data) => this.#deviceInfo(data)],
    ]);
    this.#bootedAt = this.#now();
    this.memory.log.boot();
    this.memory.save();
  }

  /** The longest message that this firmware takes. */
  get maxMessage(): number {
    return this.#firmware[0] * 100 + this.#firmware[1] >= 204 ? 3136 : 2048;
  }

  get statistics(): DeviceStatistics {
    const openSessions = this.#sessions.filter((session) => session && !this.#isExpired(session)).length;
    return { executed: this.#executed, openSessions, mostSessions: this.#mostSessions, busyMs: this.#busyMs };
  }

  /** Cuts the power and gives it back: sessions are gone, memory stays. */
  powerCycle(): void {
    this.#sessions = Array.from({ length: sessionSlots });
    this.#bootedAt = this.#now();
    this.memory.log.boot();
    this.memory.save();
  }

  /** Answers a message. */
  async handle(message: Buffer): Promise<Buffer> {
    const start = performance.now();
    try {
      if (message.length > this.maxMessage || message.length < 3 || message.readUInt16BE(1) !== message.length - 3) {
        throw new Refusal('wrongLength');
      }
      return await this.#dispatch(message);
    } catch (error) {
      if (error instanceof Refusal) return refusal(error);
      throw error;
    } finally {
      this.#busyMs += performance.now() - start;
    }
  }

  async #dispatch(message: Buffer): Promise<Buffer> {
    const data = new Cursor(message.subarray(3));
    switch (message[0]) {
      case commandNumber.echo:
        return frame(commandNumber.echo, data.all());
      case commandNumber.deviceInfo:
        return frame(commandNumber.deviceInfo, this.#deviceInfo(data));
      case commandNumber.createSession:
        return frame(commandNumber.createSession, this.#createSession(data));
      case commandNumber.authenticateSession:
        return this.#authenticate(message);
      case commandNumber.sessionMessage:
        return this.#sessionMessage(message);
      default:
        throw new Refusal('invalidCommand');
    }
  }

  #createSession(data: Cursor): Buffer {
    const authKeyId = data.uint16();
    const hostChallenge = Buffer.from(data.take(8));
    data.done();
    const key = this.memory.find(authKeyId, types.authenticationKey);
    if (key === undefined) throw new Refusal('objectNotFound');
    const slot = this.#freeSlot();
    const cardChallenge = randomBytes(8);
    const session = new DeviceChannel(slot, authKeyId, key.value, hostChallenge, cardChallenge);
    session.lastUsed = this.#now();
    this.#sessions[slot] = session;
    this.#mostSessions = Math.max(this.#mostSessions, this.statistics.openSessions);
    this.#record(commandNumber.createSession, 10, 0xffff, { target: authKeyId, second: 0xffff }, 0x83);
    return Buffer.concat([Buffer.of(slot), cardChallenge, session.cardCryptogram]);
  }

  #freeSlot(): number {
    const unused = this.#sessions.indexOf(undefined);
    if (unused >= 0) return unused;
    const expired = this.#sessions.findIndex((session) => session && this.#isExpired(session));
    if (expired < 0) throw new Refusal('sessionsFull');
    return expired;
  }

  #isExpired(session: DeviceChannel): boolean {
    return this.#now() - session.lastUsed > sessionLifeMs;
  }

  #liveSession(id: number | undefined): DeviceChannel {
    const session = this.#sessions[id ?? sessionSlots];
    if (session === undefined || this.#isExpired(session)) throw new Refusal('invalidSession');
    return session;
  }

  #authenticate(message: Buffer): Buffer {
    if (message.length !== 20) throw new Refusal('wrongLength');
    const session = this.#liveSession(message[3]);
    if (session.authenticated) throw new Refusal('invalidSession');
    try {
      session.authenticate(message);
    } catch (error) {
      this.#sessions[session.sessionId] = undefined;
      throw error;
    }
    session.lastUsed = this.#now();
    this.#record(commandNumber.authenticateSession, 17, 0xffff, { target: session.authKeyId, second: 0xffff }, 0x84);
    return frame(commandNumber.authenticateSession, Buffer.alloc(0));
  }

  async #sessionMessage(message: Buffer): Promise<Buffer> {
    if (message.length < 3 + 1 + 16 + 8) throw new Refusal('wrongLength');
    const session = this.#liveSession(message[3]);
    if (!session.authenticated) throw new Refusal('invalidSession');
    const inner = session.unseal(message);
    session.lastUsed = this.#now();
    const answer = await this.#execute(session, inner);
    session.lastUsed = this.#now();
    return session.seal(answer);
  }

  async #execute(session: DeviceChannel, inner: Buffer): Promise<Buffer> {
    const command = inner[0]!;
    const used = { target: 0xffff, second: 0xffff };
    let answer: Buffer;
    try {
      if (inner.length < 3 || inner.readUInt16BE(1) !== inner.length - 3) throw new Refusal('wrongLength');
      this.memory.log.admit(command);
      answer = frame(command, await this.#run(session, command, new Cursor(inner.subarray(3)), used));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answer = refusal(error);
      if (error.message === 'logFull') return answer;
    }
    this.#executed.set(command, (this.#executed.get(command) ?? 0) + 1);
    const result = answer[0] === errorAnswer ? answer[3]! : answer[0]!;
    this.#record(command, inner.length - 3, session.authKeyId, used, result);
    return answer;
  }

  async #run(session: DeviceChannel, command: number, data: Cursor, used: Context['used']): Promise<Buffer> {
    if (command === commandNumber.closeSession) {
      this.#sessions[session.sessionId] = undefined;
      return Buffer.alloc(0);
    }
    const by = this.memory.find(session.authKeyId, types.authenticationKey);
    if (by === undefined) throw new Refusal('insufficientPermissions');
    const context: Context = { memory: this.memory, by, used, firmware: this.#firmware };
    if (command === commandNumber.resetDevice) return this.#reset(context);
    const handler = this.#handlers.get(command);
    if (handler === undefined) throw new Refusal('invalidCommand');
    const length = data.remaining;
    const start = performance.now();
    const answer = await handler(context, data);
    const key = this.memory.find(used.target, types.asymmetricKey);
    await this.#onCommand?.(command, key?.algorithm, length, performance.now() - start);
    return answer;
  }

  #reset(context: Context): Buffer {
    demand(context, 'resetDevice');
    this.memory.reset();
    this.powerCycle();
    return Buffer.alloc(0);
  }

  #record(command: number, length: number, sessionKey: number, used: Context['used'], result: number): void {
    const systick = Math.floor(this.#now() - this.#bootedAt) % 2 ** 32;
    const before = this.memory.log.lastNumber;
    this.memory.log.record({
      command,
      length,
      sessionKey,
      targetKey: used.target,
      secondKey: used.second,
      result,
      systick,
    });
    if (this.memory.log.lastNumber !== before) this.memory.save();
  }

  #deviceInfo(data: Cursor): Buffer {
    const page = data.remaining > 0 ? data.uint8() : 0;
    data.done();
    if (page === 1) return Buffer.from('78CLUFX5000P\0', 'latin1');
    if (page !== 0) throw new Refusal('invalidData');
    const used = Math.min(this.memory.log.entries.length, logCapacity);
    return Buffer.concat([
      Buffer.from(this.#firmware),
      word(this.memory.serial),
      Buffer.of(logCapacity, used),
      Buffer.from(listedAlgorithms),
    ]);
  }
}

function frame(command: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.of(command | 0x80), short(data.length), data]);
}

function refusal({ number }: Refusal): Buffer {
  return Buffer.of(errorAnswer, 0, 1, number);
}
