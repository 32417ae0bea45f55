/**
 * Dial-back: connects to a host and finds out which host keys it can prove, to compare with the fingerprint it claims.
 * Bounded in bytes, time and connections, and in what runs at once in total, for each requester and for each target address.
 * One connection for each key type, one after the other, until the fingerprint is found or the server has no more. A server
 * that fails an exchange is not asked again.
 * sshd keeps count: OpenSSH 9.8 and later give a penalty for connections without a login attempt (`PerSourcePenalties noauth`,
 * 1 second each, in force from 15). With the key type for a hint, an ordinary dial-back is one connection.
 */
import type { DialableAddress } from '../address/dialable.ts';
import type { Fingerprint } from '#openssh/fingerprint.ts';
import type { KeyType } from '#openssh/key-type.ts';
import { algorithmsLeft, algorithmsToTry } from './host-key-algorithm.ts';
import { exchangeKeys } from './key-exchange.ts';
import {
  type DialBackCapacity,
  type DialBackLimits,
  MAX_ADDRESSES,
  defaultDialBackCapacity,
  defaultDialBackLimits,
} from './limits.ts';
import type { DialBackFailure, DialBackResult, FailedResult, ProvenKey, ProvenResult } from './outcome.ts';
import { Slots } from './slots.ts';

export interface DialBackRequest {
  /** Who asks, for the bound on each requester: the address or the authenticated name of the client. */
  readonly requester: string;
  /** 1 to 65535. */
  readonly port: number;
  /** Of the key to be proven; without one, the first key that the server shows and proves. */
  readonly fingerprint?: Fingerprint | undefined;
  /** The type of that key if known; another type is tried too. */
  readonly hint?: KeyType | undefined;
}

export interface OneAddress extends DialBackRequest {
  readonly address: DialableAddress;
}

export interface AllAddresses extends DialBackRequest {
  /** 1 to {@link MAX_ADDRESSES}, each once. */
  readonly addresses: readonly DialableAddress[];
  readonly fingerprint: Fingerprint;
}

export type AllResult =
  /** In the order of the request. All prove the same key. */
  | { readonly proven: true; readonly results: readonly ProvenResult[] }
  /** `failed` is the first in the order of the request that did not prove the key. */
  | { readonly proven: false; readonly failed: FailedResult; readonly results: readonly DialBackResult[] };

export class Dialer {
  readonly #limits: DialBackLimits;
  readonly #slots: Slots<'total' | 'requester' | 'target'>;

  constructor(limits: DialBackLimits = defaultDialBackLimits, capacity: DialBackCapacity = defaultDialBackCapacity) {
    this.#limits = limits;
    const { waitMilliseconds, ...perKind } = capacity;
    this.#slots = new Slots(perKind, waitMilliseconds);
  }

  /** No dial-back runs or waits. */
  get idle(): boolean {
    return this.#slots.idle;
  }

  /** Never rejects for what the remote side does. @throws TypeError for a port outside 1 to 65535 */
  async dialBack(request: OneAddress, signal: AbortSignal): Promise<DialBackResult> {
    const { address, port, requester } = request;
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new TypeError('port outside 1 to 65535');
    const slot = await this.#slots.acquire({ total: 'all', requester, target: address.text }, signal);
    if (!slot.granted) {
      const code = slot.code === 'busy' ? 'dial-back-busy' : 'aborted';
      return { address, port, connections: 0, elapsedMilliseconds: 0, code };
    }
    using _held = slot;
    const started = performance.now();
    const found = await findKey(request, this.#limits, started + this.#limits.totalMilliseconds, signal);
    return { address, port, elapsedMilliseconds: performance.now() - started, ...found };
  }

  /**
   * Dials all addresses of one host at once; each of them has to prove the key.
   * @throws TypeError without addresses, for too many, and for the same one twice
   */
  async dialBackAll({ addresses, ...request }: AllAddresses, signal: AbortSignal): Promise<AllResult> {
    const distinct = new Set(addresses.map(({ text }) => text));
    if (distinct.size === 0 || distinct.size > MAX_ADDRESSES || distinct.size !== addresses.length) {
      throw new TypeError(`expected 1 to ${MAX_ADDRESSES} addresses, each once`);
    }
    const results = await Promise.all(addresses.map((address) => this.dialBack({ ...request, address }, signal)));
    const failed = results.find((result): result is FailedResult => result.code !== 'proven');
    if (failed !== undefined) return { proven: false, failed, results };
    return { proven: true, results: results.filter((result): result is ProvenResult => result.code === 'proven') };
  }
}

type Found = { readonly connections: number } & (
  ({ readonly code: 'proven' } & { readonly key: ProvenKey }) | DialBackFailure
);

/** Ends, since every connection takes a key type off the list: after five at most. */
async function findKey(
  { address, port, fingerprint, hint }: OneAddress,
  limits: DialBackLimits,
  deadline: number,
  signal: AbortSignal,
): Promise<Found> {
  let algorithms = algorithmsToTry(hint);
  let connections = 0;
  while (algorithms.length > 0) {
    connections += 1;
    const outcome = await exchangeKeys({ address, port, algorithms, limits, deadline, signal });
    if (outcome.code === 'nothing-asked-for') break;
    if (outcome.code !== 'proven') return { ...outcome, connections };
    const { key, offered } = outcome;
    if (fingerprint === undefined || key.fingerprint === fingerprint) return { code: 'proven', key, connections };
    algorithms = algorithmsLeft(algorithms, key.type, offered);
  }
  return { code: 'key-not-found', connections };
}
