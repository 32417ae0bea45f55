/** What the records of a name amount to: the one place that turns address texts and resolver errors into a resolution. */
import { AddressError, type IpAddress, parseAddress } from '../address/address.ts';
import type { HostName } from './host-name.ts';
import { type DnsLimits, type Resolution, type UnresolvedCode, unresolved } from './resolver.ts';

/** @param chain the name asked for first @param texts of A and AAAA records together; may hold duplicates */
export function answerOf(
  chain: readonly [HostName, ...HostName[]],
  texts: readonly string[],
  { maxAddresses }: Pick<DnsLimits, 'maxAddresses'>,
): Resolution {
  const name = chain[0];
  if (texts.length === 0) return unresolved(name, 'no-addresses');
  if (texts.length > 2 * maxAddresses) return unresolved(name, 'too-many-addresses');
  const addresses = parseAll(texts);
  if (addresses === undefined) return unresolved(name, 'dns-bad-answer');
  if (addresses.length > maxAddresses) return unresolved(name, 'too-many-addresses');
  return Object.freeze({ resolved: true, name, chain: Object.freeze([...chain]), addresses: Object.freeze(addresses) });
}

/** Each address once, or undefined if one cannot be read (`getaddrinfo` can give zone ids). */
function parseAll(texts: readonly string[]): IpAddress[] | undefined {
  try {
    const byText = new Map(texts.map(parseAddress).map((address) => [address.text, address]));
    return [...byText.values()];
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

const codes: Readonly<Record<string, UnresolvedCode>> = {
  ENOTFOUND: 'name-not-found',
  ENODATA: 'no-addresses',
  ESERVFAIL: 'dns-failed',
  EREFUSED: 'dns-failed',
  ENOTIMP: 'dns-failed',
  ECONNREFUSED: 'dns-failed',
  EAI_AGAIN: 'dns-failed',
  EAI_FAIL: 'dns-failed',
  ETIMEOUT: 'dns-timeout',
  EFORMERR: 'dns-bad-answer',
  EBADRESP: 'dns-bad-answer',
  EBADNAME: 'dns-bad-answer',
};

/** The meaning of an error of node:dns; whatever is not in the table is a failure of the server or the way to it. */
export function codeOfDnsError(error: unknown): UnresolvedCode {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return Object.hasOwn(codes, code) ? (codes[code] ?? 'dns-failed') : 'dns-failed';
}
