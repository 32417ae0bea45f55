/**
 * Resolves through the name servers of the configuration, with c-ares (node:dns). CNAME records are followed here, one query
 * each, so that the chain can be reported and bounded; then A and AAAA are asked of the last name.
 * Both address queries have to be answered: an AAAA query that times out could hide an address that has to be dialled.
 * The search list and the hosts file of the machine are not used.
 */
import { Resolver as Cares } from 'node:dns/promises';
import { answerOf, codeOfDnsError } from './answer.ts';
import { type HostName, parseHostName } from './host-name.ts';
import {
  type DnsLimits,
  type Resolution,
  type Resolver,
  type UnresolvedCode,
  defaultDnsLimits,
  unresolved,
} from './resolver.ts';

/** Attempts for each query and server, within the limit for the whole. */
const TRIES = 2;

export class NamedResolver implements Resolver {
  readonly #servers: readonly string[];
  readonly #limits: DnsLimits;

  /**
   * @param servers `192.0.2.53`, `192.0.2.53:5353` or `[2001:db8::53]:5353`; at least one
   * @throws TypeError for what is not such a list
   */
  constructor(servers: readonly string[], limits: DnsLimits = defaultDnsLimits) {
    if (servers.length === 0) throw new TypeError('at least one name server is needed');
    new Cares().setServers(servers);
    this.#servers = servers;
    this.#limits = limits;
  }

  async resolve(name: HostName, signal: AbortSignal): Promise<Resolution> {
    if (signal.aborted) return unresolved(name, 'aborted');
    // One for each resolution: `cancel` ends all queries of a Cares, and its cache must not outlive the answer.
    const cares = new Cares({ timeout: Math.ceil(this.#limits.timeoutMilliseconds / (2 * TRIES)), tries: TRIES });
    cares.setServers(this.#servers);
    let stopped: UnresolvedCode | undefined;
    const stop = (code: UnresolvedCode): void => {
      stopped ??= code;
      cares.cancel();
    };
    const onAbort = (): void => stop('aborted');
    const timer = setTimeout(() => stop('dns-timeout'), this.#limits.timeoutMilliseconds);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await lookUp(cares, name, this.#limits, () => stopped);
    } catch (error) {
      return unresolved(name, stopped ?? codeOfDnsError(error));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }
}

type Stopped = () => UnresolvedCode | undefined;

async function lookUp(cares: Cares, name: HostName, limits: DnsLimits, stopped: Stopped): Promise<Resolution> {
  const chain = await followAliases(cares, name, limits, stopped);
  if (typeof chain === 'string') return unresolved(name, chain);
  const last = chain.at(-1) ?? name;
  const [v4, v6] = await Promise.allSettled([cares.resolve4(last), cares.resolve6(last)]);
  const code = stopped() ?? failureOf(v4) ?? failureOf(v6);
  if (code !== undefined) return unresolved(name, code);
  if (notFound(v4) && notFound(v6)) return unresolved(name, 'name-not-found');
  return answerOf(chain, [...recordsOf(v4), ...recordsOf(v6)], limits);
}

async function followAliases(
  cares: Cares,
  name: HostName,
  { maxAliases }: DnsLimits,
  stopped: Stopped,
): Promise<[HostName, ...HostName[]] | UnresolvedCode> {
  const chain: [HostName, ...HostName[]] = [name];
  for (;;) {
    const targets = await aliasesOf(cares, chain.at(-1) ?? name);
    const code = stopped();
    if (code !== undefined) return code;
    if (targets.length === 0) return chain;
    const target = targets.length === 1 ? parseHostName(targets[0] ?? '') : undefined;
    if (target === undefined) return 'dns-bad-answer';
    if (chain.includes(target)) return 'cname-loop';
    if (chain.length > maxAliases) return 'cname-chain-too-long';
    chain.push(target);
  }
}

async function aliasesOf(cares: Cares, name: HostName): Promise<string[]> {
  try {
    return await cares.resolveCname(name);
  } catch (error) {
    if (codeOfDnsError(error) === 'no-addresses') return [];
    throw error;
  }
}

/** An answer that leaves open whether there are addresses. */
function failureOf(answer: PromiseSettledResult<string[]>): UnresolvedCode | undefined {
  if (answer.status === 'fulfilled') return undefined;
  const code = codeOfDnsError(answer.reason);
  return code === 'no-addresses' || code === 'name-not-found' ? undefined : code;
}

function notFound(answer: PromiseSettledResult<string[]>): boolean {
  return answer.status === 'rejected' && codeOfDnsError(answer.reason) === 'name-not-found';
}

function recordsOf(answer: PromiseSettledResult<string[]>): string[] {
  return answer.status === 'fulfilled' ? answer.value : [];
}
