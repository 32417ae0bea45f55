/**
 * The device's audit log: 62 entries in a ring, each chained to the one before; which commands are written; what happens
 * when it is full and forced.
 */
import { createHash, randomBytes } from 'node:crypto';
import { short, word } from './cursor.ts';
import { auditable, commandNumber, Refusal } from './numbers.ts';

export const logCapacity = 62;

/** An entry, 32 bytes as on the wire. */
export interface Entry {
  number: number;
  bytes: Buffer;
}

/** What an entry says. */
export interface EntryContent {
  command: number;
  length: number;
  sessionKey: number;
  targetKey: number;
  secondKey: number;
  result: number;
  systick: number;
}

/** Commands that go on when a forced log is full. */
const alwaysAllowed: readonly number[] = [
  commandNumber.createSession,
  commandNumber.authenticateSession,
  commandNumber.closeSession,
  commandNumber.getLogEntries,
  commandNumber.setLogIndex,
];

/** The log and the options that rule it. Everything in it survives a power cut. */
export class AuditLog {
  entries: Entry[] = [];
  lastNumber = 0;
  lastDigest: Buffer = randomBytes(16);
  unloggedBoots = 0;
  unloggedAuthentications = 0;
  forceAudit = 0;
  /** 0 off, 1 on, 2 fixed; by command. */
  commandAudit = new Map<number, number>();

  /** The state after a reset of the device. Firmware before 2.3.1 logs every command by default. */
  static afterReset(logsByDefault: boolean): AuditLog {
    const log = new AuditLog();
    for (const number of auditable) {
      log.commandAudit.set(number, logsByDefault && number !== commandNumber.sessionMessage ? 1 : 0);
    }
    const nothing = 0xffff;
    log.#append({
      command: 0xff,
      length: nothing,
      sessionKey: nothing,
      targetKey: nothing,
      secondKey: nothing,
      result: 0xff,
      systick: 0xffff_ffff,
    });
    return log;
  }

  get full(): boolean {
    return this.forceAudit !== 0 && this.entries.length >= logCapacity;
  }

  boot(): void {
    if (this.full) this.unloggedBoots++;
    else this.#append({ command: 0, length: 0, sessionKey: 0xffff, targetKey: 0, secondKey: 0, result: 0, systick: 0 });
  }

  /** Refuses a command that would have to be logged when there is no room for its entry. */
  admit(command: number): void {
    if (this.full && this.#isAudited(command) && !alwaysAllowed.includes(command)) throw new Refusal('logFull');
  }

  record(content: EntryContent): void {
    if (!this.#isAudited(content.command)) return;
    if (!this.full) return this.#append(content);
    if (content.command === commandNumber.authenticateSession) this.unloggedAuthentications++;
  }

  /** Frees all entries up to and with this number. */
  freeUpTo(number: number): void {
    const index = this.entries.findIndex((entry) => entry.number === number);
    if (index < 0) throw new Refusal('invalidData');
    this.entries = this.entries.slice(index + 1);
    this.unloggedBoots = 0;
    this.unloggedAuthentications = 0;
  }

  /** The answer of GET LOG ENTRIES. */
  page(): Buffer {
    const counts = [short(this.unloggedBoots), short(this.unloggedAuthentications), Buffer.of(this.entries.length)];
    return Buffer.concat([...counts, ...this.entries.map(({ bytes }) => bytes)]);
  }

  #isAudited(command: number): boolean {
    return (this.commandAudit.get(command) ?? 0) !== 0;
  }

  #append(content: EntryContent): void {
    this.lastNumber = (this.lastNumber + 1) & 0xffff;
    const covered = Buffer.concat([
      short(this.lastNumber),
      Buffer.of(content.command),
      short(content.length),
      short(content.sessionKey),
      short(content.targetKey),
      short(content.secondKey),
      Buffer.of(content.result),
      word(content.systick),
    ]);
    const digest = createHash('sha256').update(covered).update(this.lastDigest).digest().subarray(0, 16);
    this.lastDigest = digest;
    this.entries.push({ number: this.lastNumber, bytes: Buffer.concat([covered, digest]) });
    if (this.entries.length > logCapacity) this.entries.shift();
  }
}
