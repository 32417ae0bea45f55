/**
 * Ranges that no host to be certified lives in: the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890, as of
 * October 2025), multicast, and the metadata services of public clouds, which hand credentials to whoever asks from inside.
 * Narrow ranges stand before the wide ones around them: the first match names the reason.
 * Left out on purpose: RFC 1918, RFC 6598 and RFC 4193, where private clouds live; `cidr.ts` has them.
 */
import type { IpAddress } from './address.ts';
import { type Cidr, cidrContains, parseCidr } from './cidr.ts';

export type SpecialRange =
  | 'unspecified'
  | 'loopback'
  | 'link-local'
  | 'multicast'
  | 'broadcast'
  | 'cloud-metadata'
  | 'documentation'
  | 'benchmarking'
  | 'tunnel' // IPv4 inside IPv6 and relays for it; deprecated, or not ours to see through
  | 'special-purpose' // assigned by the IETF for a use that is not hosts
  | 'reserved'; // not assigned

const table: readonly (readonly [cidr: string, range: SpecialRange, source: string])[] = [
  ['169.254.169.254/32', 'cloud-metadata', 'AWS, Azure, Google, Oracle, OpenStack and others'],
  ['169.254.170.2/32', 'cloud-metadata', 'AWS ECS task credentials'],
  ['169.254.170.23/32', 'cloud-metadata', 'AWS EKS pod identity'],
  ['169.254.42.42/32', 'cloud-metadata', 'Scaleway'],
  ['169.254.0.23/32', 'cloud-metadata', 'Tencent Cloud'],
  ['168.63.129.16/32', 'cloud-metadata', 'Azure WireServer'],
  ['192.0.0.192/32', 'cloud-metadata', 'Oracle Cloud Classic'],
  ['100.100.100.200/32', 'cloud-metadata', 'Alibaba Cloud'],
  ['fd00:ec2::/32', 'cloud-metadata', 'AWS: ::254 metadata, ::23 pod identity, ::253 and ::123 resolver and time'],
  ['fd20:ce::254/128', 'cloud-metadata', 'Google Cloud'],
  ['fd00:c1::a9fe:a9fe/128', 'cloud-metadata', 'Oracle Cloud'],
  ['fd00:42::42/128', 'cloud-metadata', 'Scaleway'],
  ['fd00:a9fe:a9fe::1/128', 'cloud-metadata', 'Linode'],
  ['fe80::a9fe:a9fe/128', 'cloud-metadata', 'OpenStack'],

  ['0.0.0.0/8', 'unspecified', 'RFC 791 section 3.2'],
  ['127.0.0.0/8', 'loopback', 'RFC 1122 section 3.2.1.3'],
  ['169.254.0.0/16', 'link-local', 'RFC 3927'],
  ['192.0.0.0/24', 'special-purpose', 'RFC 6890 section 2.1'],
  ['192.0.2.0/24', 'documentation', 'RFC 5737'],
  ['192.31.196.0/24', 'special-purpose', 'RFC 7535, AS112'],
  ['192.52.193.0/24', 'special-purpose', 'RFC 7450, AMT'],
  ['192.88.99.0/24', 'tunnel', 'RFC 7526, 6to4 relays'],
  ['192.175.48.0/24', 'special-purpose', 'RFC 7534, AS112'],
  ['198.18.0.0/15', 'benchmarking', 'RFC 2544'],
  ['198.51.100.0/24', 'documentation', 'RFC 5737'],
  ['203.0.113.0/24', 'documentation', 'RFC 5737'],
  ['224.0.0.0/4', 'multicast', 'RFC 5771'],
  ['255.255.255.255/32', 'broadcast', 'RFC 919 section 7'],
  ['240.0.0.0/4', 'reserved', 'RFC 1112 section 4'],

  ['::/128', 'unspecified', 'RFC 4291'],
  ['::1/128', 'loopback', 'RFC 4291'],
  ['::/96', 'tunnel', 'RFC 4291 section 2.5.5.1, IPv4-compatible'],
  ['::ffff:0:0:0/96', 'tunnel', 'RFC 2765, IPv4-translated'],
  ['64:ff9b:1::/48', 'tunnel', 'RFC 8215, local NAT64'],
  ['100::/64', 'special-purpose', 'RFC 6666, discard'],
  ['100:0:0:1::/64', 'special-purpose', 'RFC 9780, dummy'],
  ['2001::/32', 'tunnel', 'RFC 4380, Teredo'],
  ['2001:2::/48', 'benchmarking', 'RFC 5180'],
  ['2001::/23', 'special-purpose', 'RFC 2928'],
  ['2001:db8::/32', 'documentation', 'RFC 3849'],
  ['2002::/16', 'tunnel', 'RFC 3056, 6to4'],
  ['2620:4f:8000::/48', 'special-purpose', 'RFC 7534, AS112'],
  ['3fff::/20', 'documentation', 'RFC 9637'],
  ['5f00::/16', 'special-purpose', 'RFC 9602, SRv6'],
  ['fe80::/10', 'link-local', 'RFC 4291'],
  ['fec0::/10', 'reserved', 'RFC 3879, site-local'],
  ['ff00::/8', 'multicast', 'RFC 4291'],
];

const ranges = table.map(([cidr, range]): readonly [Cidr, SpecialRange] => [parseCidr(cidr), range]);

/** All that IPv6 hosts can have: global unicast (RFC 4291 section 2.4), unique local, and the well-known NAT64 prefix. */
const ipv6Hosts = ['2000::/3', 'fc00::/7', '64:ff9b::/96'].map(parseCidr);

/** The special range an address is in, or undefined for one that an ordinary host may have. */
export function specialRangeOf(address: IpAddress): SpecialRange | undefined {
  const found = ranges.find(([cidr]) => cidrContains(cidr, address));
  if (found !== undefined) return found[1];
  return address.family === 4 || ipv6Hosts.some((cidr) => cidrContains(cidr, address)) ? undefined : 'reserved';
}
