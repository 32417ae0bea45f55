/**
 * Stands between the socket and the SSH library and looks at what a server sends, which is plain until the key exchange ends:
 * the version line (RFC 4253 section 4.2) and the names in its first packet, SSH_MSG_KEXINIT (section 7.1). It bounds every
 * part before the library sees it, and hands the version line on alone and whole, so that no server can make the library
 * scan a growing buffer again for every byte.
 * Refused on purpose: SSH 1, version lines longer than 255 characters or with anything but printable ASCII.
 */
import { WireReader } from '#openssh/wire.ts';
import { FormatError } from '#openssh/format-error.ts';
import type { ExchangeLimits } from './limits.ts';

export type ServerBytesLimits = Pick<ExchangeLimits, 'maxBytes' | 'maxBannerBytes' | 'maxBannerLines'>;

export type Passed = { readonly pass: Uint8Array } | { readonly refuse: 'not-ssh' | 'too-much-data' };

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
/** RFC 4253 section 4.2: with carriage return and line feed. */
const MAX_VERSION_LINE_LENGTH = 255;
const versionLine = /^SSH-(?:2\.0|1\.99)-[!-~][ -~]*$/;

/** A longer first packet is left to the library alone; OpenSSH's has 1 to 2 KiB. */
const MAX_KEXINIT_LENGTH = 8 * 1024;
const SSH_MSG_KEXINIT = 20;

export class ServerBytes {
  readonly #limits: ServerBytesLimits;
  #phase: 'version' | 'first-packet' | 'rest' = 'version';
  #received = 0;
  #lines = 0;
  #pending: Uint8Array = new Uint8Array();
  #offered: readonly string[] | undefined;

  constructor(limits: ServerBytesLimits) {
    this.#limits = limits;
  }

  /** The version line has come: whatever is there speaks SSH 2. */
  get isSsh(): boolean {
    return this.#phase !== 'version';
  }

  /** The server's `server_host_key_algorithms`, once its KEXINIT has come; undefined too if that is not its first packet. */
  get offered(): readonly string[] | undefined {
    return this.#offered;
  }

  /** What of these bytes the library may see, in order and in any number of pieces; or why it ends here. */
  feed(chunk: Uint8Array): Passed {
    this.#received += chunk.length;
    if (this.#received > this.#limits.maxBytes) return { refuse: 'too-much-data' };
    switch (this.#phase) {
      case 'version':
        return this.#readVersion(chunk);
      case 'first-packet':
        this.#readFirstPacket(chunk);
        return { pass: chunk };
      case 'rest':
        return { pass: chunk };
    }
  }

  /** Linear in what comes: only the new chunk is searched for line ends. */
  #readVersion(chunk: Uint8Array): Passed {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      if (this.#received - chunk.length + (end < 0 ? chunk.length : end) >= this.#limits.maxBannerBytes) {
        return { refuse: 'too-much-data' };
      }
      const line = join(this.#pending, chunk.subarray(start, end < 0 ? undefined : end));
      if (end < 0) return this.#keepPartOfLine(line);
      this.#pending = new Uint8Array();
      start = end + 1;
      if (isVersionLine(line)) return this.#acceptVersion(line, chunk.subarray(start));
      this.#lines += 1;
      if (this.#lines > this.#limits.maxBannerLines) return { refuse: 'too-much-data' };
    }
  }

  #keepPartOfLine(line: Uint8Array): Passed {
    this.#pending = line;
    return { pass: new Uint8Array() };
  }

  #acceptVersion(line: Uint8Array, rest: Uint8Array): Passed {
    const text = Buffer.from(line).toString('latin1').replace(/\r$/, '');
    if (text.length + 2 > MAX_VERSION_LINE_LENGTH || !versionLine.test(text)) return { refuse: 'not-ssh' };
    this.#phase = 'first-packet';
    this.#readFirstPacket(rest);
    return { pass: join(Buffer.from(text, 'latin1'), Uint8Array.of(CARRIAGE_RETURN, LINE_FEED), rest) };
  }

  #readFirstPacket(chunk: Uint8Array): void {
    this.#pending = join(this.#pending, chunk);
    const length = packetLength(this.#pending);
    if (length === undefined || (length <= MAX_KEXINIT_LENGTH && this.#pending.length < 4 + length)) return;
    this.#phase = 'rest';
    if (length <= MAX_KEXINIT_LENGTH) this.#offered = hostKeyAlgorithmsIn(this.#pending.subarray(4, 4 + length));
    this.#pending = new Uint8Array();
  }
}

/** RFC 4253 section 4.2: other lines before it must not begin with `SSH-`. */
function isVersionLine(line: Uint8Array): boolean {
  return Buffer.from(line.subarray(0, 4)).toString('latin1') === 'SSH-';
}

function packetLength(packet: Uint8Array): number | undefined {
  return packet.length < 4 ? undefined : Buffer.from(packet.subarray(0, 4)).readUInt32BE(0);
}

/** @param packet padding length, payload, padding (RFC 4253 section 6); undefined if it is not a KEXINIT, or a damaged one */
function hostKeyAlgorithmsIn(packet: Uint8Array): readonly string[] | undefined {
  try {
    const reader = new WireReader(packet.subarray(1, packet.length - (packet[0] ?? 0)));
    if (reader.byte() !== SSH_MSG_KEXINIT) return undefined;
    reader.raw(16);
    reader.string(MAX_KEXINIT_LENGTH);
    return reader.text(MAX_KEXINIT_LENGTH).split(',');
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}
