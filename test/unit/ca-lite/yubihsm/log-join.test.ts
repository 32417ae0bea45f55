/** Which entry of a device's log is which signature, and which one is nobody's. */
import { describe, expect, test } from 'vitest';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import type { LogEntry } from '#ca-lite/yubihsm/commands/log.ts';
import {
  joinRecords,
  joinSession,
  type RecordedSignature,
  signaturesIn,
  type WatchedKey,
} from '#ca-lite/yubihsm/log-join.ts';
import { signEddsa } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import { HsmDeviceError, HsmError } from '#ca-lite/yubihsm/errors.ts';
import { type SentSignature, SignatureLedger } from '#ca-lite/yubihsm/signature-ledger.ts';

const eddsa = 0x6a;
const userCa = 0x0101;
const signer = 0x0011;

function entry(number: number, change: Partial<LogEntry> = {}): LogEntry {
  const none = new Uint8Array(16);
  const fields = { command: eddsa, length: 302, sessionKey: signer, targetKey: userCa, secondKey: 0xffff };
  return { number, result: 0xea, systick: 0, digest: none, covered: none, ...fields, ...change };
}

function sent(serial: bigint, change: Partial<SentSignature> = {}): SentSignature {
  const fields = { command: eddsa, length: 302, keyId: userCa, authKeyId: signer, lookedFor: false };
  return { serial, outcome: 'signed', ...fields, ...change };
}

const join = (entries: LogEntry[], asked: SentSignature[], decided = asked) =>
  joinSession(entries, asked, new Set(decided));
const pairs = ({ joined }: ReturnType<typeof joinSession>) => joined.map(({ number, serial }) => [number, serial]);

describe('signatures of this process', () => {
  test('are joined in their order', () => {
    const found = join(
      [entry(7), entry(8, { length: 400 }), entry(9)],
      [sent(1n), sent(2n, { length: 400 }), sent(3n)],
    );
    expect(pairs(found)).toEqual([
      [7, 1n],
      [8, 2n],
      [9, 3n],
    ]);
    expect(found).toMatchObject({ left: [], unlogged: 0 });
  });

  test.each([
    ['in another length', entry(8, { length: 303 })],
    ['with another authentication key', entry(8, { sessionKey: 0x0010 })],
    ['with another command', entry(8, { command: 0x47, result: 0xc7 })],
    ['with another key', entry(8, { targetKey: 0x0102 })],
    ['of the same shape', entry(8)],
  ])('leave one over that was made behind our back, %s', (_, foreign) => {
    const found = join([entry(7), foreign, entry(9)], [sent(1n), sent(3n)]);
    expect(found.left).toHaveLength(1);
    expect(found.unlogged).toBe(0);
    expect(found.joined.map(({ serial }) => serial)).toEqual([1n, 3n]);
  });

  test('whose answer was lost have an entry or not, and never take that of another one', () => {
    const asked = [sent(1n, { outcome: 'unknown' }), sent(2n)];
    expect(pairs(join([entry(7)], asked))).toEqual([[7, 2n]]);
    expect(pairs(join([entry(7), entry(8)], asked))).toEqual([
      [7, 1n],
      [8, 2n],
    ]);
  });

  test('that are under way while the log is read are not missed', () => {
    const asked = [sent(1n), sent(2n)];
    expect(join([entry(7)], asked, [asked[0]!])).toMatchObject({ left: [], unlogged: 0 });
    expect(join([entry(7)], asked)).toMatchObject({ left: [], unlogged: 1 });
  });

  test('may be named by the second key of an entry, as the device may do under a template', () => {
    const asked = [sent(1n, { command: 0x5d })];
    const under = entry(7, { command: 0x5d, result: 0xdd, targetKey: 0x0201, secondKey: userCa });
    expect(pairs(join([under], asked))).toEqual([[7, 1n]]);
  });
});

test('only signatures that succeeded, by watched keys, are looked at', () => {
  const entries = [
    entry(1),
    entry(2, { result: 0x09 }),
    entry(3, { targetKey: 0x0104 }),
    entry(4, { command: 0x4d, result: 0xcd }),
    entry(5, { command: 0x55, result: 0xd5 }),
  ];
  expect(signaturesIn(entries, [userCa]).map(({ number }) => number)).toEqual([1, 5]);
});

describe('after a restart', () => {
  const fingerprint = fingerprintOf(Uint8Array.of(1));
  const other = fingerprintOf(Uint8Array.of(2));
  const keys: WatchedKey[] = [
    { keyId: userCa, fingerprint },
    { keyId: 0x0103, fingerprint: 'timestamp' },
  ];
  const record = (serial: bigint, change: Partial<RecordedSignature> = {}): RecordedSignature => ({
    serial,
    caFingerprint: fingerprint,
    tbsLength: 300,
    ...change,
  });

  test('entries are explained by certificates of the key and the length, in any order', () => {
    const entries = [entry(5, { length: 402 }), entry(6)];
    const { joined, unknown } = joinRecords(entries, [record(1n), record(2n, { tbsLength: 400 })], keys);
    expect(joined.map(({ number, serial }) => [number, serial])).toEqual([
      [5, 2n],
      [6, 1n],
    ]);
    expect(unknown).toEqual([]);
  });

  test('a certificate explains a signature that was asked for twice, and no third one', () => {
    expect(joinRecords([entry(5), entry(6), entry(7)], [record(1n)], keys).unknown).toEqual([7]);
  });

  test('a certificate of another CA key, or of another length, explains nothing', () => {
    const records = [record(1n, { caFingerprint: other }), record(2n, { tbsLength: 301 })];
    expect(joinRecords([entry(5)], records, keys).unknown).toEqual([5]);
  });

  test('each certificate explains a timestamp, too', () => {
    const timestamp = entry(5, { command: 0x47, result: 0xc7, length: 34, targetKey: 0x0103 });
    const signed = entry(6, { command: 0x5d, result: 0xdd, length: 565 });
    expect(joinRecords([timestamp, signed], [record(1n)], keys).unknown).toEqual([]);
  });
});

describe('the ledger', () => {
  const command = { ...signEddsa(userCa, new Uint8Array(300)), serial: 5n };

  test('knows a command by what the device logs of it', () => {
    const ledger = new SignatureLedger();
    const noted = ledger.begin(command, signer);
    expect(noted).toMatchObject({ command: eddsa, length: 302, keyId: userCa, authKeyId: signer, serial: 5n });
    expect(ledger.begin(signEddsa(userCa, new Uint8Array(1)), signer)).toBeUndefined();
    expect(ledger.sent).toEqual([noted]);
  });

  test.each([
    ['a refusal', new HsmDeviceError(9, 'SIGN EDDSA'), false, 0],
    ['a refusal without a MAC', new HsmDeviceError(9, 'SIGN EDDSA'), true, 1],
    ['a connector that was not reached', new HsmError('connector-unreachable', ''), true, 0],
    ['a connection that broke', new HsmError('outcome-unknown', ''), true, 1],
    ['a session that is said to be gone', new HsmError('session-lost', ''), true, 1],
  ])('forgets what was surely not signed: %s', (_, error, lost, left) => {
    const ledger = new SignatureLedger();
    ledger.failed(ledger.begin(command, signer), error, lost);
    expect(ledger.sent).toHaveLength(left);
  });

  test('looks for a lost one twice, for others once', () => {
    const ledger = new SignatureLedger();
    const [lost, done, running] = [1, 2, 3].map(() => ledger.begin(command, signer)!);
    ledger.failed(lost, new HsmError('outcome-unknown', ''), true);
    done!.outcome = 'signed';
    ledger.settle(new Set(), ledger.decided());
    expect(ledger.sent).toEqual([lost, running]);
    ledger.settle(new Set([running!]), ledger.decided());
    expect(ledger.sent).toEqual([]);
  });

  test('has a bound', () => {
    const ledger = new SignatureLedger();
    for (let i = 0; i < 5000; i++) ledger.begin(command, signer);
    expect(ledger.sent).toHaveLength(4096);
  });
});
