/**
 * IPv4 addresses that an IPv6 address carries: a gateway on the way would turn the one into the other, so that a rule about
 * IPv4 has to look inside. IPv4-mapped addresses do not occur here: `address.ts` has made IPv4 of them.
 */
import { type IpAddress, addressBytes, addressFromBytes } from './address.ts';
import { cidrContains, parseCidr } from './cidr.ts';

const atTheEnd = [12, 13, 14, 15];
const inverted = (byte: number): number => byte ^ 0xff;
const asIs = (byte: number): number => byte;

/** Where each scheme keeps IPv4 bytes. Teredo (RFC 4380 section 4) has the server plain and the client inverted. */
const schemes = [
  { prefix: '2002::/16', at: [2, 3, 4, 5], decode: asIs }, // RFC 3056, 6to4
  { prefix: '2001::/32', at: [4, 5, 6, 7], decode: asIs },
  { prefix: '2001::/32', at: atTheEnd, decode: inverted },
  { prefix: '64:ff9b::/96', at: atTheEnd, decode: asIs }, // RFC 6052, NAT64
  { prefix: '64:ff9b:1::/48', at: atTheEnd, decode: asIs }, // RFC 8215 with the longest prefix; refused whole anyway
  { prefix: '::/96', at: atTheEnd, decode: asIs }, // RFC 4291, IPv4-compatible
  { prefix: '::ffff:0:0:0/96', at: atTheEnd, decode: asIs }, // RFC 2765, IPv4-translated
].map(({ prefix, ...rest }) => ({ cidr: parseCidr(prefix), ...rest }));

/** All IPv4 addresses inside, by every scheme whose form fits. */
export function embeddedIpv4(address: IpAddress): IpAddress[] {
  if (address.family === 4) return [];
  const bytes = addressBytes(address);
  const pick = (at: readonly number[], decode: (byte: number) => number): IpAddress =>
    addressFromBytes(at.map((index) => decode(bytes[index] ?? 0)));
  const found = schemes.filter(({ cidr }) => cidrContains(cidr, address)).map(({ at, decode }) => pick(at, decode));
  return isIsatap(bytes) ? [...found, pick(atTheEnd, asIs)] : found;
}

/** RFC 5214 section 6.1: an interface identifier of 0000:5EFE or 0200:5EFE and an IPv4 address, behind any prefix. */
function isIsatap(bytes: readonly number[]): boolean {
  return ((bytes[8] ?? 0) & ~0x02) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;
}
