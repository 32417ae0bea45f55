/** What this machine and its DNS know about its names and addresses. Does I/O; `identity-choice.ts` decides. */
import { execFile } from 'node:child_process';
import { Resolver, lookup } from 'node:dns/promises';
import { hostname, networkInterfaces } from 'node:os';
import { HostError } from './host-error.ts';
import { type NameFacts, chooseAddresses, isRoutable, normalizeAddress, normalizeName } from './identity-choice.ts';
import { type SshdSettings, listensOn } from './sshd-settings.ts';

const HOSTNAME_TIMEOUT_MS = 5000;

export interface Identity {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  /** Names without a dot, and other things worth a word. */
  readonly remarks: readonly string[];
}

export interface GivenIdentity {
  /** Values of `--name` and `--ip`; undefined or empty: find out. */
  readonly names?: readonly string[] | undefined;
  readonly addresses?: readonly string[] | undefined;
}

/** @throws HostError `name-unknown`, `name-elsewhere`, `address-unknown` */
export async function findIdentity(given: GivenIdentity, settings: SshdSettings): Promise<Identity> {
  const names = given.names?.length ? given.names.map(requireName) : [await ownName()];
  const addresses = given.addresses?.length
    ? given.addresses.map(requireAddress)
    : chooseAddresses(await factsOf(names), localAddresses(settings));
  const short = names.filter((name) => !name.includes('.'));
  const remarks = short.map((name) => `${name} is not a full name: clients and DNS of other networks may not know it`);
  return { names: [...new Set(names)], addresses: [...new Set(addresses)], remarks };
}

/** Routable addresses of all interfaces that are up, on which sshd listens. */
export function localAddresses(settings: SshdSettings): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .flatMap(({ address }) => normalizeAddress(address) ?? [])
    .filter((address) => isRoutable(address) && listensOn(settings, address));
}

export async function factsOf(names: readonly string[]): Promise<NameFacts[]> {
  return Promise.all(names.map(async (name) => ({ name, resolved: await resolveName(name) })));
}

/**
 * Addresses that DNS has for a name; when DNS has none, what the system knows (hosts file, mDNS). Loopback and link-local
 * addresses are left out: many systems map their own name to 127.0.1.1.
 */
async function resolveName(name: string): Promise<string[]> {
  const fromDns = await askDns(name);
  const found = fromDns.length > 0 ? fromDns : await askSystem(name);
  return found.flatMap((address) => normalizeAddress(address) ?? []).filter(isRoutable);
}

async function askDns(name: string): Promise<string[]> {
  const resolver = new Resolver({ timeout: 1500, tries: 2 });
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
}

async function askSystem(name: string): Promise<string[]> {
  const answers = await lookup(name, { all: true }).catch(() => []);
  return answers.map(({ address }) => address);
}

/** The name under which the system knows itself in full: what `hostname -f` prints, which asks hosts file and DNS. */
async function ownName(): Promise<string> {
  for (const candidate of [await askHostname(), hostname()]) {
    const name = normalizeName(candidate);
    if (name !== undefined && name !== 'localhost' && !name.startsWith('localhost.')) return name;
  }
  throw new HostError('name-unknown', 'this machine does not know its own name', {
    advice: 'Set it (hostnamectl set-hostname web1.example.internal), or give the name with --name.',
  });
}

async function askHostname(): Promise<string> {
  return new Promise((done) => {
    execFile('hostname', ['-f'], { timeout: HOSTNAME_TIMEOUT_MS }, (error, stdout) =>
      done(error === null ? stdout : ''),
    );
  });
}

function requireName(text: string): string {
  const name = normalizeName(text);
  if (name !== undefined) return name;
  throw new HostError('name-unknown', 'what --name gives is not a host name', {
    advice: 'A host name has letters, digits, hyphens and dots: web1.example.internal',
  });
}

function requireAddress(text: string): string {
  const address = normalizeAddress(text);
  if (address !== undefined) return address;
  throw new HostError('address-unknown', 'what --ip gives is not an IP address', {
    advice: 'Write IPv4 as 192.0.2.7 and IPv6 as 2001:db8::7, without a port or zone.',
  });
}
