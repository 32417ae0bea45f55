/**
 * IP addresses as text from outside: parsed strictly, kept in one canonical form (dotted decimal for IPv4, RFC 5952 for IPv6).
 * An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) is the IPv4 address it names, so that no rule for one can be passed by
 * writing the other.
 * Refused on purpose: octal, hexadecimal and shorthand IPv4 (`0177.0.0.1`, `0x7f.1`, `127.1`), zone ids (`fe80::1%eth0`),
 * brackets, ports, white space.
 */
import ipaddr from 'ipaddr.js';

declare const addressBrand: unique symbol;

/** Made by {@link parseAddress} alone. Two addresses are the same exactly when their `text` is. */
export interface IpAddress {
  readonly family: 4 | 6;
  /** Canonical. */
  readonly text: string;
  readonly [addressBrand]: true;
}

export type AddressErrorCode = 'bad-address' | 'bad-cidr';

/** Text from outside that is not an address or an address range. The message does not repeat it. */
export class AddressError extends Error {
  override readonly name = 'AddressError';
  readonly code: AddressErrorCode;

  constructor(code: AddressErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

const dottedDecimal = /^(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}$/;
/** Hexadecimal groups, and dotted decimal at the end if at all; the groups themselves are judged by ipaddr.js. */
const hexGroups = /^[0-9a-f:]*:(?:[0-9a-f]{0,4}|(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3})$/i;
/** The longest form: six groups of four digits and an IPv4 address. */
const MAX_ADDRESS_LENGTH = 45;

/** @throws AddressError `bad-address` */
export function parseAddress(text: string): IpAddress {
  const parsed = text.length > MAX_ADDRESS_LENGTH ? undefined : (parseIpv4(text) ?? parseIpv6(text));
  if (parsed === undefined) {
    throw new AddressError('bad-address', 'not an IP address: expected dotted decimal IPv4, or IPv6 without a zone');
  }
  return addressFromBytes(parsed.toByteArray());
}

/** @param bytes 4 or 16, in network order @throws TypeError for another length */
export function addressFromBytes(bytes: readonly number[]): IpAddress {
  const parsed = ipaddr.fromByteArray([...bytes]);
  if (parsed instanceof ipaddr.IPv4) return address(4, parsed.toString());
  return parsed.isIPv4MappedAddress()
    ? address(4, parsed.toIPv4Address().toString())
    : address(6, parsed.toRFC5952String());
}

/** 4 or 16 bytes in network order. */
export function addressBytes(of: IpAddress): number[] {
  return ipaddr.parse(of.text).toByteArray();
}

function address(family: 4 | 6, text: string): IpAddress {
  return { family, text } as IpAddress;
}

function parseIpv4(text: string): ipaddr.IPv4 | undefined {
  return dottedDecimal.test(text) && ipaddr.IPv4.isValidFourPartDecimal(text) ? ipaddr.IPv4.parse(text) : undefined;
}

function parseIpv6(text: string): ipaddr.IPv6 | undefined {
  return hexGroups.test(text) && ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined;
}
