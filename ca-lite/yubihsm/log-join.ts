/**
 * Joins the entries of a device's audit log to the certificates that they are about, and finds signatures that this CA did
 * not ask for. Pure.
 *
 * An entry names the command, the length of its data, the key and the session's authentication key, but not what was
 * signed. Commands of one session are logged in their order, so the order in which this process asked says which entry is
 * which. After a crash that order is lost: then an entry is explained by any certificate on record that the same key could
 * have signed in that length, and no other entry explains. That tells whether a signature is one too many; among
 * certificates of one length it does not tell which one it is.
 */
import type { Fingerprint } from '#openssh/fingerprint.ts';
import type { LogEntry } from './commands/log.ts';
import { commandNumbers } from './commands/command.ts';
import { sshCertificateOverhead } from './commands/ssh-certificate.ts';
import type { SentSignature } from './signature-ledger.ts';

/** Every command that uses an asymmetric key to sign; SIGN PSS (0x55) is never sent by us. */
const signCommands: readonly number[] = [
  commandNumbers['SIGN PKCS1'],
  0x55,
  commandNumbers['SIGN ECDSA'],
  commandNumbers['SIGN SSH CERTIFICATE'],
  commandNumbers['SIGN EDDSA'],
];

/** A key of a device whose signatures must all be explained: a CA key, or the timestamp key when it lives in this device. */
export interface WatchedKey {
  keyId: number;
  /** Of the CA key; `timestamp` signs for every certificate; undefined until it was read. */
  fingerprint: Fingerprint | 'timestamp' | undefined;
}

/** A certificate on record: which CA key was to sign so many bytes. */
export interface RecordedSignature {
  serial: bigint;
  caFingerprint: Fingerprint;
  tbsLength: number;
}

/** An entry and its certificate. */
export interface JoinedSignature {
  number: number;
  serial: bigint;
  /** `session`: by the order in which it was asked for; `record`: after a restart, by key and length. */
  by: 'session' | 'record';
}

/** What {@link joinSession} found. */
export interface JoinedSession {
  joined: JoinedSignature[];
  /** Sent signatures that have an entry. */
  found: Set<SentSignature>;
  /** Entries that nothing sent explains. */
  left: LogEntry[];
  /** Signatures that the device made and did not log. */
  unlogged: number;
}

/** The entries that say that a watched key signed. */
export function signaturesIn(entries: readonly LogEntry[], keyIds: readonly number[]): LogEntry[] {
  return entries.filter((entry) => {
    const signed = signCommands.includes(entry.command) && entry.result === (entry.command | 0x80);
    return signed && keyIds.some((keyId) => isOf(entry, keyId));
  });
}

/** Says whether an entry is of this key. Which of its two fields names the key under a template is not published. */
function isOf({ targetKey, secondKey }: LogEntry, keyId: number): boolean {
  return targetKey === keyId || secondKey === keyId;
}

function fits(entry: LogEntry, sent: SentSignature): boolean {
  const { command, length, sessionKey } = entry;
  return command === sent.command && length === sent.length && sessionKey === sent.authKeyId && isOf(entry, sent.keyId);
}

/**
 * Joins in order, so that as little as possible is left on either side: entries without a command, and answered commands
 * without an entry. Among equal ways it prefers the later entries, since entries of an earlier process come first.
 * `decided` are those whose answer was there before the log was read; others may have an entry or not.
 */
export function joinSession(
  entries: readonly LogEntry[],
  sent: readonly SentSignature[],
  decided: ReadonlySet<SentSignature>,
): JoinedSession {
  const costOfMissing = (each: SentSignature): 0 | 1 => (each.outcome === 'signed' && decided.has(each) ? 1 : 0);
  const cost = costs(entries, sent, costOfMissing);
  const outcome: JoinedSession = { joined: [], found: new Set(), left: [], unlogged: 0 };
  for (let i = 0, j = 0; i < entries.length || j < sent.length;) {
    const [entry, asked] = [entries[i], sent[j]];
    const here = cost[i]![j]!;
    if (entry !== undefined && here === cost[i + 1]![j]! + 1) {
      outcome.left.push(entry);
      i++;
    } else if (asked !== undefined && here === cost[i]![j + 1]! + costOfMissing(asked)) {
      outcome.unlogged += costOfMissing(asked);
      j++;
    } else {
      outcome.joined.push({ number: entry!.number, serial: asked!.serial, by: 'session' });
      outcome.found.add(asked!);
      i++;
      j++;
    }
  }
  return outcome;
}

/** `[i][j]`: what is left over at least when entries from i on are joined to what was sent from j on. */
function costs(
  entries: readonly LogEntry[],
  sent: readonly SentSignature[],
  costOfMissing: (each: SentSignature) => number,
): number[][] {
  const table = Array.from({ length: entries.length + 1 }, () => Array.from({ length: sent.length + 1 }, () => 0));
  for (let i = entries.length; i >= 0; i--) {
    for (let j = sent.length; j >= 0; j--) {
      const ways: number[] = [];
      if (i < entries.length) ways.push(table[i + 1]![j]! + 1);
      if (j < sent.length) ways.push(table[i]![j + 1]! + costOfMissing(sent[j]!));
      if (i < entries.length && j < sent.length && fits(entries[i]!, sent[j]!)) ways.push(table[i + 1]![j + 1]!);
      table[i]![j] = ways.length === 0 ? 0 : Math.min(...ways);
    }
  }
  return table;
}

/**
 * Explains entries by certificates on record, oldest first; each explains two entries of one key at most, since a
 * signature whose answer was lost is asked for once more.
 */
export function joinRecords(
  entries: readonly LogEntry[],
  records: readonly RecordedSignature[],
  keys: readonly WatchedKey[],
): { joined: JoinedSignature[]; unknown: number[] } {
  const joined: JoinedSignature[] = [];
  const unknown: number[] = [];
  const uses = new Map<string, number>();
  for (const entry of entries) {
    const key = keys.find(({ keyId }) => isOf(entry, keyId));
    const useOf = ({ serial }: RecordedSignature): string => `${serial} ${key?.keyId}`;
    const usedBefore = (times: number) => (record: RecordedSignature) =>
      (uses.get(useOf(record)) ?? 0) === times && fitsRecord(entry, record, key?.fingerprint);
    const record = records.find(usedBefore(0)) ?? records.find(usedBefore(1));
    if (record === undefined) unknown.push(entry.number);
    else {
      uses.set(useOf(record), (uses.get(useOf(record)) ?? 0) + 1);
      joined.push({ number: entry.number, serial: record.serial, by: 'record' });
    }
  }
  return { joined, unknown };
}

function fitsRecord(
  { command, length }: LogEntry,
  { caFingerprint, tbsLength }: RecordedSignature,
  fingerprint: WatchedKey['fingerprint'],
): boolean {
  if (fingerprint === 'timestamp') return true;
  if (fingerprint !== undefined && fingerprint !== caFingerprint) return false;
  switch (command) {
    case commandNumbers['SIGN EDDSA']:
      return length === tbsLength + 2;
    case commandNumbers['SIGN SSH CERTIFICATE']:
      return length === tbsLength + sshCertificateOverhead;
    default:
      return true;
  }
}
