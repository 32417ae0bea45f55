/**
 * Serial numbers inside a certificate section of a KRL (OpenSSH PROTOCOL.krl sections 2.1 to 2.3): lists, ranges and bitmaps.
 * The writer weighs the three as ssh-keygen does, run by run, and gives the same bytes, with one exception: OpenSSH cannot read
 * a bitmap of more than 16,384 bits ("bignum is too large"), although ssh-keygen writes such KRLs and sshd then refuses every
 * key. We start a new section before that.
 */
import { FormatError } from './format-error.ts';
import type { SerialRange, SerialSet, SerialSetBuilder } from './serial-set.ts';
import { type WireReader, WireWriter } from './wire.ts';

export const SERIAL_LIST = 0x20;
export const SERIAL_RANGE = 0x21;
export const SERIAL_BITMAP = 0x22;
type SectionType = typeof SERIAL_LIST | typeof SERIAL_RANGE | typeof SERIAL_BITMAP;

/** SSHBUF_MAX_BIGNUM of OpenSSH: 16,384 bits. */
const MAX_BITMAP_LENGTH = 2048;
const MAX_BITMAP_BITS = MAX_BITMAP_LENGTH * 8;

/** In bits, as OpenSSH counts: a section's type byte, and a serial. */
const TYPE_COST = 8;
const SERIAL_COST = 64;
const CLAMP = 1n << 31n;

/**
 * Writes the sections for all serials, in ascending order. Serials that lie far apart, as random ones do, are a list whatever stands before
 * or behind them (what `chooseSection` would say of each), so they are copied in one piece: a million in milliseconds.
 */
export function writeSerialSections(serials: SerialSet, writer: WireWriter): void {
  let section: Section | undefined;
  let previousLast = 0n;
  const open = (type: SectionType, first: bigint): Section => {
    if (section !== undefined) writer.byte(section.type).string(section.finish());
    section = openSection(type, first);
    return section;
  };
  for (let index = 0; index < serials.rangeCount;) {
    const end = serials.endOfScattered(index);
    const range = serials.at(Math.max(index, end - 1));
    if (range === undefined) break;
    if (end > index) {
      const list = section instanceof ListSection ? section : open(SERIAL_LIST, range.first);
      list.addBytes?.(serials.bytesOfFirsts(index, end));
      index = end;
    } else {
      section = addRange(range, serials.at(index + 1), section, previousLast, open);
      index++;
    }
    previousLast = range.last;
  }
  if (section !== undefined) writer.byte(section.type).string(section.finish());
}

function addRange(
  range: SerialRange,
  next: SerialRange | undefined,
  section: Section | undefined,
  previousLast: bigint,
  open: (type: SectionType, first: bigint) => Section,
): Section {
  const gapBefore = section === undefined ? 0 : clamped(range.first - previousLast);
  const gapAfter = next === undefined ? undefined : clamped(next.first - range.last);
  const canExtend = section !== undefined && section.hasRoomFor(range);
  const choice = chooseSection(section?.type, canExtend, runLength(range), gapBefore, gapAfter);
  const isNew = section === undefined || choice.restart || choice.type !== section.type || choice.type === SERIAL_RANGE;
  const into = isNew || section === undefined ? open(choice.type, range.first) : section;
  into.add(range);
  return into;
}

/**
 * The cheapest way to write a run: its own cost and, unless it is the last, what the next run will at least cost to reach.
 * Equal costs go to the bitmap, then the range, then the list, as in OpenSSH.
 */
function chooseSection(
  current: SectionType | undefined,
  canExtend: boolean,
  run: number,
  gapBefore: number,
  gapAfter: number | undefined,
): { type: SectionType; restart: boolean } {
  const isBitmap = current === SERIAL_BITMAP;
  const toNext = gapAfter === undefined ? 0 : TYPE_COST + SERIAL_COST;
  const toNextBit = gapAfter === undefined ? 0 : Math.min(gapAfter, TYPE_COST + SERIAL_COST);
  const newBitmap = TYPE_COST + SERIAL_COST + run + toNextBit;
  const candidates = [
    { type: SERIAL_BITMAP, restart: false, bits: isBitmap ? gapBefore + run + toNextBit : newBitmap + gapBefore },
    { type: SERIAL_RANGE, restart: false, bits: TYPE_COST + 2 * SERIAL_COST + toNext },
    {
      type: SERIAL_LIST,
      restart: false,
      bits: (current === SERIAL_LIST ? 0 : TYPE_COST) + SERIAL_COST * run + toNext,
    },
    { type: SERIAL_BITMAP, restart: true, bits: newBitmap },
  ] as const;
  const possible = isBitmap && !canExtend ? candidates.slice(1) : candidates;
  return possible.reduce((best, other) => (bytesOf(other.bits) < bytesOf(best.bits) ? other : best));
}

function bytesOf(bits: number): number {
  return Math.ceil(bits / 8);
}

function runLength({ first, last }: SerialRange): number {
  return clamped(last - first + 1n);
}

/** As a number, and not over 2^31, which is past every decision that it takes part in. */
function clamped(difference: bigint): number {
  return Number(difference < CLAMP ? difference : CLAMP);
}

interface Section {
  readonly type: SectionType;
  hasRoomFor(range: SerialRange): boolean;
  add(range: SerialRange): void;
  /** Serials as the wire has them; only of a list. */
  addBytes?(serials: Uint8Array): void;
  finish(): Uint8Array;
}

function openSection(type: SectionType, first: bigint): Section {
  switch (type) {
    case SERIAL_LIST:
      return new ListSection();
    case SERIAL_RANGE:
      return new RangeSection();
    case SERIAL_BITMAP:
      return new BitmapSection(first);
  }
}

class ListSection implements Section {
  readonly type = SERIAL_LIST;
  readonly #writer = new WireWriter();

  hasRoomFor(): boolean {
    return true;
  }

  add({ first, last }: SerialRange): void {
    for (let serial = first; serial <= last; serial++) this.#writer.uint64(serial);
  }

  addBytes(serials: Uint8Array): void {
    this.#writer.raw(serials);
  }

  finish(): Uint8Array {
    return this.#writer.finish();
  }
}

class RangeSection implements Section {
  readonly type = SERIAL_RANGE;
  readonly #writer = new WireWriter(16);

  hasRoomFor(): boolean {
    return false;
  }

  add({ first, last }: SerialRange): void {
    this.#writer.uint64(first).uint64(last);
  }

  finish(): Uint8Array {
    return this.#writer.finish();
  }
}

class BitmapSection implements Section {
  readonly type = SERIAL_BITMAP;
  readonly #offset: bigint;
  /** Big-endian as the mpint it becomes: bit 0 is in the last byte. */
  readonly #bits = new Uint8Array(MAX_BITMAP_LENGTH);

  constructor(offset: bigint) {
    this.#offset = offset;
  }

  hasRoomFor({ last }: SerialRange): boolean {
    return last - this.#offset < MAX_BITMAP_BITS;
  }

  add({ first, last }: SerialRange): void {
    const end = Number(last - this.#offset);
    for (let bit = Number(first - this.#offset); bit <= end; bit++) {
      const index = MAX_BITMAP_LENGTH - 1 - (bit >>> 3);
      this.#bits[index] = (this.#bits[index] ?? 0) | (1 << (bit & 7));
    }
  }

  finish(): Uint8Array {
    return new WireWriter(MAX_BITMAP_LENGTH + 16).uint64(this.#offset).mpint(this.#bits).finish();
  }
}

/** Reads one section's data to its end. @throws FormatError, also for serial 0, as OpenSSH does */
export function readSerialSection(type: SectionType, reader: WireReader, into: SerialSetBuilder): void {
  switch (type) {
    case SERIAL_LIST:
      while (reader.remaining > 0) readInto(into, reader.uint64());
      return;
    case SERIAL_RANGE:
      readInto(into, reader.uint64(), reader.uint64());
      return reader.end();
    case SERIAL_BITMAP:
      readBitmap(reader.uint64(), reader.mpint(MAX_BITMAP_LENGTH + 1), into);
      return reader.end();
  }
}

/** Each run of ones becomes one range; the byte 0 between runs and 0xff inside one are passed at once. */
function readBitmap(offset: bigint, magnitude: Uint8Array, into: SerialSetBuilder): void {
  let start: number | undefined;
  const bits = magnitude.length * 8;
  for (let bit = 0; bit <= bits; bit++) {
    const byte = bit < bits ? (magnitude[magnitude.length - 1 - (bit >>> 3)] ?? 0) : 0;
    if ((bit & 7) === 0 && bit < bits && byte === (start === undefined ? 0 : 0xff)) {
      bit += 7;
      continue;
    }
    const isSet = ((byte >>> (bit & 7)) & 1) === 1;
    if (isSet) start ??= bit;
    if (isSet || start === undefined) continue;
    readInto(into, offset + BigInt(start), offset + BigInt(bit - 1));
    start = undefined;
  }
}

function readInto(into: SerialSetBuilder, first: bigint, last = first): void {
  if (!into.add(first, last))
    throw new FormatError('bad-value', 'the KRL names serial 0, an empty range, a serial over 64 bits, or too many');
}
