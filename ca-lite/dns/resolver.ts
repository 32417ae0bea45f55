/**
 * What it means to resolve a name, whoever does it: once, in bounded time, to a bounded number of addresses, or not at all.
 * A resolution is a value that is handed on to the dial-back; nothing resolves the same name again, since a name server that
 * gives one answer for the check and another for the connection would then choose where the CA connects to.
 */
import type { IpAddress } from '../address/address.ts';
import type { HostName } from './host-name.ts';

export interface Resolver {
  /**
   * Never rejects for what a name server says or fails to say.
   * @param requester who asks: where few look-ups run at once, nobody gets all of them
   */
  resolve(name: HostName, signal: AbortSignal, requester?: string): Promise<Resolution>;
}

export type Resolution = Resolved | Unresolved;

export interface Resolved {
  readonly resolved: true;
  readonly name: HostName;
  /** The name, then the targets of its CNAME records, the name that has the addresses last. One long if the resolver cannot tell. */
  readonly chain: readonly HostName[];
  /** All A and AAAA records, each once, in the order of the answer; at least one. */
  readonly addresses: readonly IpAddress[];
}

export interface Unresolved {
  readonly resolved: false;
  readonly name: HostName;
  readonly code: UnresolvedCode;
}

export type UnresolvedCode =
  | 'name-not-found' // NXDOMAIN
  | 'no-addresses' // the name exists, with neither A nor AAAA
  | 'dns-failed' // SERVFAIL, REFUSED, no server reachable
  | 'dns-timeout'
  | 'dns-bad-answer' // an answer that cannot be read, or that has what no host name or address can be
  | 'too-many-addresses'
  | 'cname-loop'
  | 'cname-chain-too-long'
  | 'dns-busy'
  | 'aborted';

export interface DnsLimits {
  /** For a whole resolution, all queries and retries. */
  readonly timeoutMilliseconds: number;
  readonly maxAddresses: number;
  /** CNAME records followed. */
  readonly maxAliases: number;
}

export const defaultDnsLimits: DnsLimits = { timeoutMilliseconds: 5_000, maxAddresses: 16, maxAliases: 8 };

export function unresolved(name: HostName, code: UnresolvedCode): Unresolved {
  return Object.freeze({ resolved: false, name, code });
}
