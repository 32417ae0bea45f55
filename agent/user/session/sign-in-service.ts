/**
 * Signing in, as the agent's other parts see it: loaded when it is first needed, so that an agent which nobody signs in with pays nothing
 * for it. It is the identity source of the agent: when ssh asks and nothing is valid, it renews, asks the person, or opens the browser.
 */
import type {
  ControlRenewReply,
  ControlSignIn,
  ControlSignInNeed,
  ControlSignInRequest,
  ControlSignInState,
  ControlSignOutReply,
} from '#protocol/control.ts';
import type { ChangeSignal } from '../change-signal.ts';
import type { IdentitySource } from '../identity-source.ts';
import type { IdentityStore } from '../identity-store.ts';
import type { Clock } from '../moment.ts';
import type { SessionBindings } from '../session-bindings.ts';
import type { SignInDesk } from './sign-in-desk.ts';
import type { SignInSettings } from './sign-in-settings.ts';
import type { SessionChoice, SignInSessions } from './sessions.ts';
import type { SessionVault } from './session-vault.ts';

/** Nobody came: the next ssh is not kept waiting again so soon. */
const COOL_DOWN_MS = 5 * 60_000;

export interface ServiceParts {
  readonly store: IdentityStore;
  readonly clock: Clock;
  readonly changes: ChangeSignal;
  readonly settings: SignInSettings;
  /** Of the agent. */
  readonly socket: string;
  readonly usesKeychain: boolean;
  /** How many faces would show a question. */
  readonly watchers: () => number;
  /** Told when a sign-in or a renewal brought a certificate. */
  readonly certified?: () => void;
  readonly report: (error: unknown) => void;
}

interface Loaded {
  readonly sessions: SignInSessions;
  readonly desk: SignInDesk;
}

export class SignInService implements IdentitySource, AsyncDisposable {
  readonly #parts: ServiceParts;
  #loading: Promise<Loaded> | undefined;
  #loaded: Loaded | undefined;
  #vault: SessionVault | undefined;
  #asked: ControlSignInNeed | undefined;
  #quietUntil = -Infinity;
  readonly #stop = new AbortController();

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  /** Brings back the sessions that the keychain has. While it has none, only what reads it is loaded. */
  async restore(): Promise<void> {
    if (!this.#parts.usesKeychain) return;
    const { readSessions } = await import('./session-restore.ts');
    const found = await readSessions(await this.#openVault(), () => this.#loaded === undefined, this.#stop.signal);
    this.#parts.changes.notify();
    if (found === undefined || found.length === 0 || this.#stop.signal.aborted) return;
    (await this.#load()).sessions.bringBack(found);
  }

  async start(request: ControlSignInRequest): Promise<ControlSignIn> {
    return (await this.#load()).desk.start(request, 'request');
  }

  /** False when it is over. */
  cancel(id: string): boolean {
    return this.#loaded?.desk.cancel(id) ?? false;
  }

  async renew(choice: SessionChoice): Promise<ControlRenewReply['sessions']> {
    return (await this.#loaded?.sessions.renew(choice)) ?? [];
  }

  async signOut(choice: SessionChoice): Promise<ControlSignOutReply['sessions']> {
    this.#asked = undefined;
    this.#parts.changes.notify();
    return (await this.#loaded?.sessions.signOut(choice)) ?? [];
  }

  describe(): ControlSignInState {
    const { sessions = [], needed = [] } = this.#loaded?.sessions.describe(Date.now()) ?? {};
    const { usesKeychain, settings } = this.#parts;
    return {
      whenAsked: settings.whenAsked,
      keychain: this.#vault?.description ?? (usesKeychain ? { kind: 'unused' } : { kind: 'memory' }),
      sessions,
      signIns: this.#loaded?.desk.describe() ?? [],
      needed: [...needed, ...[this.#asked ?? []].flat()].slice(0, 16),
    };
  }

  /** Only logins that start here: what comes through a forwarded agent must not open windows on this desk. */
  isWanted(store: IdentityStore, bindings: SessionBindings): boolean {
    const [hop, ...more] = bindings.hops;
    if (hop === undefined || hop.isForwarding || more.length > 0) return false;
    if (hasUserCertificate(store)) return false;
    const { whenAsked, hosts } = this.#parts.settings;
    const isOurs = hosts === 'all' || hop.caBlob !== undefined;
    return (isOurs && whenAsked !== 'off' && performance.now() >= this.#quietUntil) || this.#mayRenew();
  }

  async provide(_store: IdentityStore, bindings: SessionBindings, signal: AbortSignal): Promise<void> {
    const patience = AbortSignal.timeout(this.#parts.settings.waitSeconds * 1000);
    const bounded = AbortSignal.any([signal, patience, this.#stop.signal]);
    const known = this.#loaded?.sessions;
    if (known?.canRenew() === true) {
      await this.#until(() => known.hasValid() || !known.canRenew(), bounded, known.renew());
      if (known.hasValid()) return;
    }
    if (!(await this.#mayAsk(bindings))) return;
    const loaded = await this.#load();
    await this.#ask(loaded, bounded);
    const nobodyCame = patience.aborted || (this.#parts.settings.whenAsked === 'browser' && !loaded.desk.isBusy);
    if (nobodyCame && !loaded.sessions.hasValid()) this.#quietUntil = performance.now() + COOL_DOWN_MS;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const loaded = await this.#loading?.catch(() => undefined);
    await loaded?.desk[Symbol.asyncDispose]();
    await loaded?.sessions[Symbol.asyncDispose]();
  }

  #mayRenew(): boolean {
    return this.#loaded?.sessions.canRenew() === true;
  }

  async #mayAsk({ last }: SessionBindings): Promise<boolean> {
    const { whenAsked, hosts, stateDirectory } = this.#parts.settings;
    if (whenAsked === 'off' || performance.now() < this.#quietUntil) return false;
    if (hosts === 'all') return true;
    const { isCertifiedByUs } = await import('./certified-host.ts');
    return last?.caBlob !== undefined && isCertifiedByUs(last.caBlob, stateDirectory);
  }

  /** Waits for what a person does, once for all who ask. */
  async #ask({ sessions, desk }: Loaded, signal: AbortSignal): Promise<void> {
    const { whenAsked, provisioner } = this.#parts.settings;
    if (whenAsked === 'browser' && !desk.isBusy) {
      const named = provisioner === undefined ? {} : { provisioner };
      desk.start({ flow: 'browser', openBrowser: true, ...named }, 'ssh');
    }
    this.#asked ??= { since: Date.now(), reason: 'asked', ...(provisioner === undefined ? {} : { provisioner }) };
    this.#parts.changes.notify();
    // a question that nobody sees is not waited for
    const isHopeless = (): boolean => !desk.isBusy && (whenAsked === 'browser' || this.#parts.watchers() === 0);
    await this.#until(() => sessions.hasValid() || isHopeless(), signal);
    if (sessions.hasValid()) this.#asked = undefined;
  }

  /** Resolves when it holds, at a change or when `work` is done, or when `signal` fires. */
  async #until(holds: () => boolean, signal: AbortSignal, work: Promise<unknown> = Promise.resolve()): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => void ((holds() || signal.aborted) && resolve());
    using _listening = this.#parts.changes.listen(look);
    signal.addEventListener('abort', look, { once: true });
    work.then(look, look);
    look();
    await promise;
    signal.removeEventListener('abort', look);
  }

  async #load(): Promise<Loaded> {
    this.#loading ??= this.#make();
    return this.#loading;
  }

  async #make(): Promise<Loaded> {
    const { openSignIn } = await import('./open-sign-in.ts');
    const { sessions, desk } = openSignIn(this.#parts, await this.#openVault());
    this.#parts.changes.listen(() => {
      sessions.noticeRemoved();
      if (this.#asked !== undefined && sessions.hasValid()) this.#asked = undefined;
    });
    this.#loaded = { sessions, desk };
    return this.#loaded;
  }

  async #openVault(): Promise<SessionVault> {
    const { openVault } = await import('./open-vault.ts');
    this.#vault ??= openVault(this.#parts);
    return this.#vault;
  }
}

function hasUserCertificate(store: IdentityStore): boolean {
  return store.all().some(({ certificate, wasExpired }) => certificate?.type === 'user' && !wasExpired);
}
