/** What a dial-back may cost. An honest sshd on a LAN needs 5 to 50 milliseconds and 2 to 4 KiB for one connection. */
import type { SlotLimits } from './slots.ts';

export interface ExchangeLimits {
  /** To the end of the TCP handshake. */
  readonly connectMilliseconds: number;
  /** Without a byte in either direction. */
  readonly idleMilliseconds: number;
  /** From the server, for one connection, to the end of the key exchange. */
  readonly maxBytes: number;
  /** Lines before the version line (RFC 4253 section 4.2), and their bytes with it. */
  readonly maxBannerLines: number;
  readonly maxBannerBytes: number;
}

export interface DialBackLimits extends ExchangeLimits {
  /** For one address, all its connections together, without the wait for a slot. */
  readonly totalMilliseconds: number;
}

export const defaultDialBackLimits: DialBackLimits = {
  connectMilliseconds: 3_000,
  idleMilliseconds: 3_000,
  totalMilliseconds: 10_000,
  maxBytes: 48 * 1024,
  maxBannerLines: 32,
  maxBannerBytes: 8 * 1024,
};

/** At once and waiting: in total, for one requester, and for one target address whatever the port. */
export interface DialBackCapacity {
  readonly total: SlotLimits;
  readonly requester: SlotLimits;
  readonly target: SlotLimits;
  readonly waitMilliseconds: number;
}

export const defaultDialBackCapacity: DialBackCapacity = {
  total: { running: 64, waiting: 1024 },
  requester: { running: 4, waiting: 16 },
  target: { running: 1, waiting: 4 },
  waitMilliseconds: 5_000,
};

/** Addresses of one host. */
export const MAX_ADDRESSES = 16;
