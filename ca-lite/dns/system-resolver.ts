/**
 * Resolves as other programs on the CA's machine do: `getaddrinfo`, with the hosts file, the search list and whatever the name
 * service switch has. It does not tell the CNAME chain.
 * `getaddrinfo` blocks a thread of Node's small pool and cannot be called off, so few run at once: a name server that answers
 * slowly must not hold up the threads that files and cryptography need. A call that was given up keeps its slot until it returns.
 * One requester has one of them at most, so that names which resolve slowly leave the rest to others.
 */
import { type LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { Slots } from '../dial-back/slots.ts';
import { answerOf, codeOfDnsError } from './answer.ts';
import type { HostName } from './host-name.ts';
import {
  type DnsLimits,
  type Resolution,
  type Resolver,
  type UnresolvedCode,
  defaultDnsLimits,
  unresolved,
} from './resolver.ts';

/** Of the four threads that Node has unless told otherwise. */
const RUNNING = 2;
const RUNNING_PER_REQUESTER = 1;
const WAITING = 256;
/** Eight checks of eight names, which is what the CA lets one requester have under way. */
const WAITING_PER_REQUESTER = 64;

type Lookup = (name: string) => Promise<LookupAddress[]>;
const getaddrinfo: Lookup = (name) => lookup(name, { all: true, order: 'verbatim' });

export class SystemResolver implements Resolver {
  readonly #limits: DnsLimits;
  readonly #lookup: Lookup;
  readonly #slots: Slots<'lookups' | 'requester'>;

  /** @param lookup for tests of slow name services, which a test cannot arrange for `getaddrinfo` */
  constructor(limits: DnsLimits = defaultDnsLimits, lookup: Lookup = getaddrinfo) {
    this.#limits = limits;
    this.#lookup = lookup;
    const requester = { running: RUNNING_PER_REQUESTER, waiting: WAITING_PER_REQUESTER };
    this.#slots = new Slots({ lookups: { running: RUNNING, waiting: WAITING }, requester }, limits.timeoutMilliseconds);
  }

  async resolve(name: HostName, signal: AbortSignal, requester = name as string): Promise<Resolution> {
    const slot = await this.#slots.acquire({ lookups: 'all', requester }, signal);
    if (!slot.granted) return unresolved(name, slot.code === 'busy' ? 'dns-busy' : 'aborted');
    const answer = this.#ask(name).finally(() => slot[Symbol.dispose]());
    return withinTime(answer, this.#limits.timeoutMilliseconds, signal, (code) => unresolved(name, code));
  }

  async #ask(name: HostName): Promise<Resolution> {
    try {
      const found = await this.#lookup(name);
      return answerOf(
        [name],
        found.map(({ address }) => address),
        this.#limits,
      );
    } catch (error) {
      return unresolved(name, codeOfDnsError(error));
    }
  }
}

async function withinTime<T>(
  work: Promise<T>,
  milliseconds: number,
  signal: AbortSignal,
  otherwise: (code: UnresolvedCode) => T,
): Promise<T> {
  if (signal.aborted) return otherwise('aborted');
  const { promise, resolve } = Promise.withResolvers<T>();
  const onAbort = (): void => resolve(otherwise('aborted'));
  const timer = setTimeout(() => resolve(otherwise('dns-timeout')), milliseconds);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
