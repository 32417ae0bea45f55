/**
 * One session with one device: CREATE SESSION, AUTHENTICATE SESSION, and commands until it is closed or lost
 * (Yubico, "Session").
 *
 * A session is used by one caller at a time. It never repeats anything: when a message or its answer goes wrong the
 * session is lost, and what may be repeated is for `retry.ts` to say. A device has 16 slots and frees an idle one after
 * 30 seconds, so a session that is still good is always closed.
 */
import { randomBytes } from 'node:crypto';
import { type Command, commandNumbers } from './commands/command.ts';
import { closeSession, echo } from './commands/device.ts';
import type { Connector } from './connector.ts';
import { HsmDeviceError, HsmError, isHsmError } from './errors.ts';
import { decodeAnswer, encodeFrame, safeDataNewFirmware } from './frame.ts';
import {
  type AuthenticationKeys,
  cardCryptogram,
  challengeLength,
  deriveSessionKeys,
  hostCryptogram,
  macLength,
  sameBytes,
} from './scp03.ts';
import { authenticate, type Channel, open, sealCommand } from './secure-channel.ts';
import { ByteReader, concat, u16 } from './wire.ts';

const createSession = 0x03;
const authenticateSession = 0x04;
const invalidSession = 0x03;
const authenticationFailed = 0x04;
/** How long opening, closing and each command may take, when the caller does not say otherwise. */
const defaultTimeoutMs = 10_000;

/** Who opens a session, and where. */
export interface SessionOptions {
  connector: Connector;
  authKeyId: number;
  keys: AuthenticationKeys;
  signal?: AbortSignal;
  /** Random bytes for the host challenge; only tests give another source. */
  random?: (length: number) => Uint8Array;
}

/**
 * Opens a session. Throws {@link HsmDeviceError} `device-authentication-failed` for a wrong password,
 * `device-object-not-found` for an unknown authentication key, `device-sessions-full`; {@link HsmError} `not-our-device`
 * when the device does not know the key either.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { connector, authKeyId, keys, random = randomBytes } = options;
  const signal = options.signal ?? AbortSignal.timeout(defaultTimeoutMs);
  const host = new Uint8Array(random(challengeLength));
  const request = encodeFrame(createSession, concat(u16(authKeyId), host));
  const created = decodeAnswer(await connector.exchange(request, signal), createSession, 'CREATE SESSION');
  const reader = new ByteReader(created, 'CREATE SESSION');
  const sessionId = reader.u8();
  const card = reader.bytes(challengeLength);
  const proof = reader.bytes(macLength);
  reader.end();
  const sessionKeys = deriveSessionKeys(keys, host, card);
  // The proof is checked after AUTHENTICATE SESSION: the device frees the slot of a session that fails there, but
  // would keep that of one that is given up before.
  const { message, channel } = authenticate(sessionId, sessionKeys, hostCryptogram(sessionKeys, host, card));
  decodeAnswer(await connector.exchange(message, signal), authenticateSession, 'AUTHENTICATE SESSION');
  if (!sameBytes(proof, cardCryptogram(sessionKeys, host, card))) {
    throw new HsmError('not-our-device', `the device at ${connector.name} did not prove that it knows the password`);
  }
  return new Session(connector, channel);
}

/** An open session. */
export class Session implements AsyncDisposable {
  readonly #connector: Connector;
  #channel: Channel | undefined;
  /** The command under way; it settles and never rejects. */
  #underWay: Promise<unknown> | undefined;

  constructor(connector: Connector, channel: Channel) {
    this.#connector = connector;
    this.#channel = channel;
  }

  /** True as soon as the session cannot be used any more. */
  get lost(): boolean {
    return this.#channel === undefined && this.#underWay === undefined;
  }

  /**
   * Sends a command and reads its answer. Throws {@link HsmDeviceError} when the device refuses, and the session is still
   * good then; after every other error the session is lost. Throws TypeError when a command is under way.
   */
  async execute<T>(command: Command<T>, signal: AbortSignal = AbortSignal.timeout(defaultTimeoutMs)): Promise<T> {
    if (this.#underWay) throw new TypeError('a session does one command at a time');
    if (this.#channel === undefined) throw new HsmError('session-lost', 'the session with the device has ended');
    if (command.data.length > safeDataNewFirmware) {
      throw new HsmError(
        'message-too-long',
        `${command.name}: ${command.data.length} bytes are too many for one message`,
      );
    }
    const answered = this.#exchange(command, this.#channel, signal);
    this.#underWay = Promise.allSettled([answered]);
    try {
      return command.decode(decodeAnswer(await answered, commandNumbers[command.name], command.name));
    } catch (error) {
      throw withNeeds(error, command);
    } finally {
      this.#underWay = undefined;
    }
  }

  async #exchange(command: Command<unknown>, before: Channel, signal: AbortSignal): Promise<Uint8Array> {
    this.#channel = undefined;
    const { message, channel } = sealCommand(before, commandNumbers[command.name], command.data);
    const opened = open(channel, await this.#connector.exchange(message, signal));
    if ('plainRefusal' in opened) throw plainRefusal(opened.plainRefusal, command);
    this.#channel = opened.channel;
    return opened.inner;
  }

  /** Tells the device that somebody is still there. */
  async keepAlive(signal?: AbortSignal): Promise<void> {
    await this.execute(echo(Uint8Array.of(0xff)), signal);
  }

  /**
   * Gives the slot back, when a command under way is done. A device that cannot be told frees it by itself after 30
   * seconds; that is no error.
   */
  async close(): Promise<void> {
    await this.#underWay;
    if (this.#channel === undefined) return;
    try {
      await this.execute(closeSession());
    } catch (error) {
      if (!isHsmError(error)) throw error;
    } finally {
      this.#channel = undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function plainRefusal(code: number, command: Command<unknown>): HsmError {
  if (code === invalidSession) {
    return new HsmError('session-lost', `${command.name}: the device does not know the session any more`);
  }
  if (code === authenticationFailed) {
    return new HsmError('message-mac-refused', `${command.name}: the device does not take the message for authentic`);
  }
  return new HsmDeviceError(code, command.name);
}

/** Says which capability is needed when the device refuses for want of permissions. */
function withNeeds(error: unknown, command: Command<unknown>): unknown {
  if (!isHsmError(error, 'device-insufficient-permissions') || command.needs.length === 0) return error;
  const { deviceCode } = error as HsmDeviceError;
  return new HsmDeviceError(deviceCode, command.name, `; it needs ${command.needs.join(', ')}`);
}
