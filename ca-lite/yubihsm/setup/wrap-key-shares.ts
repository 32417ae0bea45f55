/**
 * The wrap key of a backup in m-of-n shares (Shamir's scheme, package `shamir-secret-sharing`), one line of text each:
 *
 *   countersign-share-1:KEY-CHECK:NUMBER:THRESHOLD:TOTAL:SHARE:LINE-CHECK
 *
 * KEY-CHECK is the same for all shares of a key and tells a wrong combination from a right one; LINE-CHECK finds a typing
 * mistake. Neither helps to find the key, which is 32 random bytes.
 *
 * Refused on purpose: shares of different keys together, one share given twice, fewer shares than the threshold.
 */
import { createHash } from 'node:crypto';
import { combine, split } from 'shamir-secret-sharing';
import { HsmError } from '../errors.ts';

const prefix = 'countersign-share-1';
const keyLength = 32;
const maxShares = 20;

/** How many shares there are, and how many restore the key: 2 <= threshold <= total <= 20. */
export interface ShareCounts {
  threshold: number;
  total: number;
}

interface Share {
  keyCheck: string;
  number: number;
  threshold: number;
  bytes: Uint8Array;
}

/** Splits a wrap key of 32 bytes. Throws TypeError for counts that make no sense. */
export async function splitWrapKey(key: Uint8Array, { threshold, total }: ShareCounts): Promise<string[]> {
  if (key.length !== keyLength) throw new TypeError(`a wrap key has ${keyLength} bytes`);
  if (!(threshold >= 2 && threshold <= total && total <= maxShares)) {
    throw new TypeError(`the counts must be 2 <= threshold <= total <= ${maxShares}`);
  }
  const shares = await split(key, total, threshold);
  return shares.map((bytes, index) => {
    const share = Buffer.from(bytes).toString('base64url');
    const line = [prefix, keyCheckOf(key), index + 1, threshold, total, share].join(':');
    return `${line}:${lineCheckOf(line)}`;
  });
}

/** Puts a wrap key together again. Throws {@link HsmError} `bad-input`, which says which share is wrong and how. */
export async function combineWrapKey(lines: readonly string[]): Promise<Uint8Array> {
  const shares = lines.map((line, index) => decodeShare(line, index + 1));
  const [first] = shares;
  if (first === undefined) throw bad('no share was given');
  if (shares.some(({ keyCheck }) => keyCheck !== first.keyCheck)) throw bad('the shares belong to different backups');
  const different = new Set(shares.map(({ number }) => number));
  if (different.size < shares.length) throw bad('a share was given twice');
  if (shares.length < first.threshold) throw bad(`${first.threshold} shares are needed, ${shares.length} were given`);
  // The package throws for two shares of one place on the curve, as shares of two splits may be.
  const key = await combine(shares.map(({ bytes }) => bytes)).catch(() => undefined);
  if (key === undefined || keyCheckOf(key) !== first.keyCheck)
    throw bad('the shares do not make the key that they were made from');
  return key;
}

/** How many shares of this one's set restore the key. */
export function thresholdOf(line: string): number {
  return decodeShare(line, 1).threshold;
}

function decodeShare(line: string, position: number): Share {
  const text = line.trim();
  const match = /^countersign-share-1:([0-9a-f]{16}):(\d{1,2}):(\d{1,2}):\d{1,2}:([\w-]{20,60}):([0-9a-f]{8})$/.exec(
    text,
  );
  if (match === null) throw bad(`share ${position} is not a share: it should begin with ${prefix}`);
  const [, keyCheck = '', number, threshold, share = '', check] = match;
  if (lineCheckOf(text.slice(0, -9)) !== check) throw bad(`share ${position} has a typing mistake`);
  const bytes = new Uint8Array(Buffer.from(share, 'base64url'));
  return { keyCheck, number: Number(number), threshold: Number(threshold), bytes };
}

function keyCheckOf(key: Uint8Array): string {
  return createHash('sha256').update('countersign wrap key').update(key).digest('hex').slice(0, 16);
}

function lineCheckOf(line: string): string {
  return createHash('sha256').update(line).digest('hex').slice(0, 8);
}

function bad(why: string): HsmError {
  return new HsmError('bad-input', why);
}
