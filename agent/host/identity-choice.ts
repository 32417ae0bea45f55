/**
 * Which names and addresses to ask the CA for. The CA wants DNS to give exactly the claimed addresses for every name, so what DNS
 * says decides, within what this machine has. Pure: what the machine and DNS know comes in.
 */
import ipaddr from 'ipaddr.js';
import { HostError } from './host-error.ts';

/** RFC 1123 section 2.1 in lower case, as `protocol/wire-text.ts` has it on the wire. */
const hostName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** Lower case, without a final full stop. @returns undefined for text that is no host name */
export function normalizeName(text: string): string | undefined {
  const name = text.trim().replace(/\.$/, '').toLowerCase();
  return hostName.test(name) ? name : undefined;
}

/** Canonical text (RFC 5952; IPv4 for IPv4-mapped IPv6). @returns undefined for text that is no address, also with a zone */
export function normalizeAddress(text: string): string | undefined {
  const strict = ipaddr.IPv6.isValid(text) ? !text.includes('%') : ipaddr.IPv4.isValidFourPartDecimal(text);
  return strict ? ipaddr.process(text).toString() : undefined;
}

/** Addresses that mean something to another machine: not loopback, link-local, multicast or unspecified. */
export function isRoutable(address: string): boolean {
  const range = ipaddr.process(address).range();
  return !['loopback', 'linkLocal', 'multicast', 'unspecified', 'broadcast'].includes(range);
}

export interface NameFacts {
  readonly name: string;
  /** What DNS has for the name, canonical; empty when it has nothing. */
  readonly resolved: readonly string[];
}

/**
 * @param facts one for each name
 * @param local canonical routable addresses of this machine on which sshd listens
 * @throws HostError `name-elsewhere`, `address-unknown`
 */
export function chooseAddresses(facts: readonly NameFacts[], local: readonly string[]): string[] {
  const known = facts.filter(({ resolved }) => resolved.length > 0);
  for (const { name, resolved } of known) {
    const elsewhere = resolved.filter((address) => !local.includes(address));
    if (elsewhere.length > 0) throw elsewhereError(name, elsewhere, local);
  }
  const chosen = known.length > 0 ? known.flatMap(({ resolved }) => resolved) : local;
  if (chosen.length === 0) throw noAddress();
  return [...new Set(chosen)];
}

function elsewhereError(name: string, elsewhere: readonly string[], local: readonly string[]): HostError {
  const has = local.length === 0 ? 'none that others could reach' : local.join(', ');
  return new HostError(
    'name-elsewhere',
    `${name} resolves to ${elsewhere.join(', ')}, which this machine does not have`,
    {
      advice: `Its own addresses are: ${has}. Correct DNS, choose another --name, or, when the CA reaches this host there all the same (address translation, a load balancer), give every address of the name with --ip.`,
    },
  );
}

function noAddress(): HostError {
  return new HostError('address-unknown', 'this machine has no address that the CA could reach, and DNS knows none', {
    advice: 'Give the address with --ip.',
  });
}
