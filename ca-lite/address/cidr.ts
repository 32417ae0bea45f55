/**
 * Address ranges of a policy, as `10.0.0.0/8` or `2001:db8::/32` (RFC 4632 section 3.1, RFC 4291 section 2.3), and what they allow.
 * Refused on purpose: a bare address, host bits behind the prefix (`10.1.2.3/8` is a slip of the pen, and which way it was
 * meant decides who may enrol), and IPv4-mapped ranges, since such addresses are IPv4 here.
 */
import ipaddr from 'ipaddr.js';
import { AddressError, type IpAddress, addressBytes, addressFromBytes, parseAddress } from './address.ts';

declare const cidrBrand: unique symbol;

/** Made by {@link parseCidr} alone. */
export interface Cidr {
  readonly network: IpAddress;
  /** 0 to 32 or 0 to 128. */
  readonly prefixLength: number;
  readonly [cidrBrand]: true;
}

/** @throws AddressError `bad-cidr` */
export function parseCidr(text: string): Cidr {
  const [, base, digits] = /^([0-9a-f:.]{2,45})\/(0|[1-9][0-9]{0,2})$/i.exec(text) ?? [];
  if (base === undefined || digits === undefined) throw badCidr('expected an address, a slash and a prefix length');
  const network = parseBase(base);
  const prefixLength = Number(digits);
  if (base.includes(':') !== (network.family === 6)) throw badCidr('write an IPv4-mapped range as IPv4');
  if (prefixLength > (network.family === 4 ? 32 : 128)) throw badCidr('the prefix is longer than the address');
  if (hasHostBits(network, prefixLength))
    throw badCidr('the address has bits behind the prefix; write the first address of the range');
  return { network, prefixLength } as Cidr;
}

export function formatCidr(cidr: Cidr): string {
  return `${cidr.network.text}/${cidr.prefixLength}`;
}

export function cidrContains(cidr: Cidr, address: IpAddress): boolean {
  if (cidr.network.family !== address.family) return false;
  return ipaddr.parse(address.text).match(ipaddr.parse(cidr.network.text), cidr.prefixLength);
}

/** Not on the public Internet, yet ordinary: RFC 1918, RFC 6598 (carrier NAT, and overlay networks), RFC 4193. */
const privateRanges = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'].map(parseCidr);

export function isPrivate(address: IpAddress): boolean {
  return privateRanges.some((range) => cidrContains(range, address));
}

/**
 * Whether a policy allows an address. Nothing is allowed by default. A private address is allowed only by a range that lies
 * within private space, so that `0.0.0.0/0` opens the Internet and not the rack next door.
 */
export function allowedBy(cidrs: readonly Cidr[], address: IpAddress): boolean {
  const explicit = isPrivate(address) ? cidrs.filter(isWithinPrivateSpace) : cidrs;
  return explicit.some((cidr) => cidrContains(cidr, address));
}

function isWithinPrivateSpace(cidr: Cidr): boolean {
  return privateRanges.some((range) => cidr.prefixLength >= range.prefixLength && cidrContains(range, cidr.network));
}

function parseBase(text: string): IpAddress {
  try {
    return parseAddress(text);
  } catch (cause) {
    if (cause instanceof AddressError) throw badCidr('the part before the slash is not an IP address');
    throw cause;
  }
}

function hasHostBits(network: IpAddress, prefixLength: number): boolean {
  const bytes = addressBytes(network);
  const masked = bytes.map(
    (byte, index) => byte & (0xff << Math.max(0, Math.min(8, 8 * (index + 1) - prefixLength))) & 0xff,
  );
  return addressFromBytes(masked).text !== network.text;
}

function badCidr(why: string): AddressError {
  return new AddressError('bad-cidr', `not an address range: ${why}`);
}
