/**
 * What ca.toml means for requests: policy, identity providers, and how hosts are checked. Made at the start, and anew when the file is read
 * again (`reload.ts`); what did not change stays, with what it knows: the keys of providers, the dial-backs under way.
 */
import { ownAddresses } from '../address/own-addresses.ts';
import { sameSection } from '../config/config-change.ts';
import type { Config } from '../config/config.ts';
import { Dialer } from '../dial-back/dialer.ts';
import { defaultDialBackCapacity, defaultDialBackLimits } from '../dial-back/limits.ts';
import { Slots } from '../dial-back/slots.ts';
import { NamedResolver } from '../dns/named-resolver.ts';
import { type Resolver, defaultDnsLimits } from '../dns/resolver.ts';
import { SystemResolver } from '../dns/system-resolver.ts';
import { HostCheck, type HostCheckParts } from '../enrol/host-check.ts';
import type { CaSettings } from '../http/context.ts';
import { OidcProvisioners } from '../oidc/provisioners.ts';

/** Opened parts are closed with it. */
export class SettingsMaker implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  #before: { readonly settings: CaSettings; readonly dialing: Dialing } | undefined;

  make(config: Config): CaSettings {
    const before = this.#before;
    const old = before?.settings;
    const oidc =
      old !== undefined && sameSection(old.config.oidc, config.oidc)
        ? old.oidc
        : this.#stack.use(new OidcProvisioners(config.oidc));
    const dialing = before !== undefined && sameDialing(before.settings.config, config) ? before.dialing : dial(config);
    const hostCheck = new HostCheck({ policy: config.enrolment, ownAddresses, ...dialing });
    const settings = { config, oidc, hostCheck };
    this.#before = { settings, dialing };
    return settings;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

type Dialing = Pick<HostCheckParts, 'resolver' | 'dialer' | 'slots'>;

/** Bounds hold for what begins under them: with new ones, what runs under the old ones ends beside it. */
function dial(config: Config): Dialing {
  return { resolver: resolverOf(config), dialer: dialerOf(config), slots: checkSlots(config) };
}

function sameDialing(before: Config, now: Config): boolean {
  return sameSection([before.dialBack, before.dns], [now.dialBack, now.dns]);
}

function resolverOf({ dns }: Config): Resolver {
  const limits = { ...defaultDnsLimits, timeoutMilliseconds: dns.timeoutSeconds * 1000 };
  return dns.servers.length === 0 ? new SystemResolver(limits) : new NamedResolver(dns.servers, limits);
}

/** As many checks for one requester as dial-backs: a check waits for both, DNS and its dial-backs. */
function checkSlots({ dialBack }: Config): Slots<'requester'> {
  const { requester, waitMilliseconds } = defaultDialBackCapacity;
  return new Slots({ requester: { ...requester, running: dialBack.concurrentPerRequester } }, waitMilliseconds);
}

function dialerOf({ dialBack }: Config): Dialer {
  const totalMilliseconds = dialBack.timeoutSeconds * 1000;
  const limits = { ...defaultDialBackLimits, totalMilliseconds };
  return new Dialer(limits, {
    ...defaultDialBackCapacity,
    total: { ...defaultDialBackCapacity.total, running: dialBack.concurrent },
    requester: { ...defaultDialBackCapacity.requester, running: dialBack.concurrentPerRequester },
    target: { ...defaultDialBackCapacity.target, running: dialBack.concurrentPerTarget },
  });
}
