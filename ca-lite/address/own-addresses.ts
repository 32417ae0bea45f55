/** The addresses of this machine's interfaces, which the CA never dials: an enrolment must not reach the CA's own services. */
import { networkInterfaces } from 'node:os';
import { type IpAddress, parseAddress } from './address.ts';

/**
 * Read at the moment of the call, since interfaces come and go. Addresses that the CA is reached by from outside but does not
 * see itself (a load balancer, NAT) have to come from its configuration.
 */
export function ownAddresses(): IpAddress[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => parseAddress(address.replace(/%.*$/, '')));
}
