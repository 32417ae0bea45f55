/**
 * Who counts as one requester where limits are kept: an IPv4 address, or the /64 of an IPv6 address, which is what one machine has
 * (RFC 6177; RFC 8981 lets it take new addresses from there as it likes). Pure.
 */
import { isIPv6 } from 'node:net';

/** @param requester the text of an address; other text stands for itself */
export function requesterGroup(requester: string): string {
  if (!isIPv6(requester)) return requester;
  const groups = new URL(`http://[${requester.replace(/%.*$/, '')}]/`).hostname.slice(1, -1);
  const [head = '', tail] = groups.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const all =
    tail === undefined
      ? left
      : [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right];
  return `${all.slice(0, 4).join(':')}::/64`;
}
