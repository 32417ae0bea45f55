/**
 * The sessions of the agent: keeps their certificates in the identity store, renews them in time, ends them. Wakes when one is due, on a schedule,
 * after a sleep or a jump of the clock, and when the network came back after a failure. Holds no timer while there is no session. Does I/O.
 */
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Certificate } from '#openssh/certificate.ts';
import type { ControlRenewReply, ControlSession, ControlSignInNeed, ControlSignOutReply } from '#protocol/control.ts';
import { printable } from '../../ca/foreign-text.ts';
import { type Failure, isFailure } from '../../failure.ts';
import { Alarm } from '../../schedule/alarm.ts';
import { watchForWakes } from '../../schedule/wake-watch.ts';
import { identityFrom, identityId } from '../identity.ts';
import type { IdentityStore } from '../identity-store.ts';
import type { SignedIn } from '../login/sign-in.ts';
import type { Clock } from '../moment.ts';
import { describeSession } from './describe-session.ts';
import type { Session, SessionPlace } from './session.ts';
import { dueAt, failureOf, isValid, judgeFailure, plannedAt, renewalWays, signInNeed } from './session-plan.ts';
import type { Renewing } from './session-renewal.ts';
import { splitReplaced } from './session-restore.ts';
import { MAX_SESSIONS, type SessionVault } from './session-vault.ts';
import { startSchedule } from './renewal-schedule.ts';

const PROVIDER_PATIENCE_MS = 20_000;
/** When ssh asks, a renewal that failed is tried again sooner than its back-off says, but not at every login. */
const RETRY_FOR_SSH_MS = 15_000;

export interface SessionParts {
  readonly store: IdentityStore;
  readonly clock: Clock;
  readonly vault: SessionVault;
  /** Told after every change. */
  readonly notify: () => void;
  /** Told when a sign-in or a renewal brought a certificate. */
  readonly certified?: () => void;
  /** Told of faults of ours. */
  readonly report: (error: unknown) => void;
  /** What asks the CA and the provider. */
  readonly renew: (session: Session, renewing: Renewing) => Promise<Certificate>;
  readonly endAtProvider: (session: Session, signal: AbortSignal) => Promise<'revoked' | 'not-offered' | 'no-token'>;
}

type Outcome = ControlRenewReply['sessions'][number];
type Ended = ControlSignOutReply['sessions'][number];

export interface SessionChoice {
  readonly session?: string;
  readonly provisioner?: string;
}

export class SignInSessions implements AsyncDisposable {
  readonly #parts: SessionParts;
  readonly #sessions = new Map<string, Session>();
  readonly #renewing = new Map<string, Promise<Outcome>>();
  readonly #ending = new Map<string, Promise<Ended>>();
  readonly #alarm = new Alarm();
  readonly #stop = new AbortController();
  readonly #state = { failed: false };
  #loop: Promise<void> | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    setMaxListeners(0, this.#stop.signal);
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Whether a certificate of a session is valid now. */
  hasValid(): boolean {
    const now = Date.now();
    return this.#all().some((session) => isValid(session, now));
  }

  /** Whether something may bring a certificate without the person, and did not fail just now. */
  canRenew(): boolean {
    const now = Date.now();
    return this.#all().some((session) => {
      const { trouble } = session;
      if (trouble?.needsPerson === true || renewalWays(session, now).length === 0) return false;
      return trouble === undefined || now - trouble.at > RETRY_FOR_SSH_MS;
    });
  }

  describe(now: number): { readonly sessions: ControlSession[]; readonly needed: ControlSignInNeed[] } {
    const all = this.#all();
    return {
      sessions: all.map((session) => describeSession(session, now)),
      needed: all.flatMap((session) => signInNeed(session, now) ?? []),
    };
  }

  /** Takes over what a sign-in brought, in place of the last session with the same provisioner of the same CA. */
  async adopt(signedIn: SignedIn, caUrl: string, place: SessionPlace): Promise<Session> {
    const { provisioner, key, certificate, isBound, refreshToken } = signedIn;
    const earlier = this.#all().filter((each) => each.caUrl === caUrl && each.provisionerName === provisioner.name);
    const session: Session = {
      id: randomBytes(12).toString('base64url'),
      place,
      caUrl,
      provisionerName: provisioner.name,
      provisioner,
      signedInAt: Date.now(),
      key,
      isBound,
      storedIn: 'memory',
      ...(refreshToken === undefined ? {} : { refreshToken }),
    };
    this.#sessions.set(session.id, session);
    this.#install(session.id, certificate);
    for (const each of earlier) void this.#end(each, 'replaced').catch(this.#parts.report);
    for (const each of this.#all().slice(0, -MAX_SESSIONS)) void this.#end(each).catch(this.#parts.report);
    await this.#save(session.id);
    this.#wake();
    return this.#sessions.get(session.id) ?? session;
  }

  /** Takes over what the keychain had. A sign-in that was made meanwhile counts more. */
  bringBack(found: readonly Session[]): void {
    const { current, replaced } = splitReplaced([...found, ...this.#all()]);
    const known = new Set(this.#sessions.keys());
    for (const session of [...current, ...replaced]) if (!known.has(session.id)) this.#bringBack(session);
    for (const session of replaced) void this.#end(session, 'replaced').catch(this.#parts.report);
  }

  /** Renews now. @returns what became of each; empty when none fits */
  async renew(choice: SessionChoice = {}): Promise<Outcome[]> {
    return Promise.all(this.#chosen(choice).map(async ({ id }) => this.#renewOne(id)));
  }

  /** Ends sessions: here at once, then in the keychain and at the provider. */
  async signOut(choice: SessionChoice = {}): Promise<Ended[]> {
    return Promise.all(this.#chosen(choice).map(async (session) => this.#end(session)));
  }

  /** A key that was taken away through the agent protocol, as `ssh-add -D` does, is not brought back: its session ends. */
  noticeRemoved(): void {
    const now = Date.now();
    for (const session of this.#all()) {
      const { held } = session;
      if (held === undefined || !isValid(session, now)) continue;
      if (this.#parts.store.find(identityId(held.certificate.blob)) === undefined)
        void this.#end(session).catch(this.#parts.report);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await Promise.allSettled(this.#renewing.values());
  }

  #all(): Session[] {
    return [...this.#sessions.values()].filter(({ id }) => !this.#ending.has(id));
  }

  #chosen({ session, provisioner }: SessionChoice): Session[] {
    return this.#all()
      .filter(({ id }) => session === undefined || id === session)
      .filter(({ provisionerName }) => provisioner === undefined || provisionerName === provisioner);
  }

  #bringBack(session: Session): void {
    this.#sessions.set(session.id, session);
    if (session.held !== undefined && isValid(session, Date.now()))
      this.#addIdentity(session, session.held.certificate);
    this.#parts.notify();
    this.#wake();
  }

  #change(id: string, change: (session: Session) => Session): Session | undefined {
    const current = this.#sessions.get(id);
    if (current === undefined) return undefined;
    const next = change(current);
    this.#sessions.set(id, next);
    this.#parts.notify();
    return next;
  }

  async #save(id: string): Promise<void> {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    const storedIn = await this.#parts.vault.save(session);
    this.#change(id, (current) => ({ ...current, storedIn }));
    if (!this.#sessions.has(id)) await this.#parts.vault.remove(session); // signed out meanwhile
  }

  /** The certificate into the store, in place of the one before. */
  #install(id: string, certificate: Certificate): void {
    const before = this.#sessions.get(id)?.held?.certificate;
    const session = this.#change(id, (current) => ({
      ...current,
      trouble: undefined,
      held: { certificate, obtainedAt: Date.now() },
    }));
    if (session === undefined) return;
    this.#addIdentity(session, certificate);
    const blob = certificate.blob;
    if (before !== undefined && identityId(before.blob) !== identityId(blob))
      this.#parts.store.remove(identityId(before.blob));
    this.#parts.certified?.();
  }

  #addIdentity({ key, provisionerName, caUrl }: Session, certificate: Certificate): void {
    const { privateKey, publicKey } = key;
    const comment = `countersign ${printable(provisionerName, 64)} ${new URL(caUrl).host}`;
    const fields = { privateKey, publicKey, certificate };
    const request = { fields, comment: Buffer.from(comment), constraints: {} };
    this.#parts.store.add(identityFrom(request, this.#parts.clock()));
  }

  /** One renewal at a time for each session. Never rejects for an expected failure. */
  async #renewOne(id: string): Promise<Outcome> {
    const running = this.#renewing.get(id);
    if (running !== undefined) return running;
    const renewal = this.#renewNow(id).finally(() => {
      this.#renewing.delete(id);
      this.#wake();
    });
    this.#renewing.set(id, renewal);
    return renewal;
  }

  async #renewNow(id: string): Promise<Outcome> {
    const session = this.#sessions.get(id);
    if (session === undefined) return { id, renewed: false };
    try {
      const keep = async (change: (session: Session) => Session): Promise<void> => {
        const secret = this.#sessions.get(id)?.refreshToken;
        const changed = this.#change(id, change);
        if (changed?.refreshToken !== secret) await this.#save(id);
      };
      const certificate = await this.#parts.renew(session, { keep, signal: this.#stop.signal });
      this.#install(id, certificate);
      this.#state.failed = false;
      await this.#save(id);
      return { id, renewed: true };
    } catch (error) {
      if (this.#stop.signal.aborted || !isFailure(error)) throw error;
      return this.#failed(id, error);
    }
  }

  #failed(id: string, failure: Failure): Outcome {
    this.#state.failed = true;
    const now = Date.now();
    const failures = (this.#sessions.get(id)?.trouble?.failures ?? 0) + 1;
    const trouble = judgeFailure(failure, failures, now, Math.random());
    this.#change(id, (session) => ({ ...session, trouble }));
    return { id, renewed: false, failure: failureOf(trouble) };
  }

  /**
   * `replaced`: by a sign-in of the same person at the same provider. Its refresh token is forgotten and not revoked: many providers take a
   * revocation for the whole grant, which the new sign-in is part of.
   */
  async #end(session: Session, why: 'signed-out' | 'replaced' = 'signed-out'): Promise<Ended> {
    const { id } = session;
    const running = this.#ending.get(id);
    if (running !== undefined) return running;
    const { promise, resolve, reject } = Promise.withResolvers<Ended>();
    this.#ending.set(id, promise); // before anything is removed: what notices that finds it ending
    this.#endNow(session, why)
      .finally(() => this.#ending.delete(id))
      .then(resolve, reject);
    return promise;
  }

  async #endNow(session: Session, why: 'signed-out' | 'replaced'): Promise<Ended> {
    const { id } = session;
    this.#removeIdentity(session);
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(PROVIDER_PATIENCE_MS)]);
    // a renewal that is under way may bring the refresh token that has to be revoked
    await Promise.race([this.#renewing.get(id)?.catch(() => undefined), aborted(signal)]);
    const last = this.#sessions.get(id) ?? session;
    this.#sessions.delete(id);
    this.#removeIdentity(last);
    this.#parts.notify();
    await this.#parts.vault.remove(last);
    const { provisionerName: provisioner } = last;
    if (why === 'replaced') return { id, provisioner, atProvider: 'no-token' };
    return { id, provisioner, ...(await this.#goodbye(last, signal)) };
  }

  async #goodbye(session: Session, signal: AbortSignal): Promise<Pick<Ended, 'atProvider' | 'failure'>> {
    try {
      return { atProvider: await this.#parts.endAtProvider(session, signal) };
    } catch (error) {
      if (isFailure(error)) return { atProvider: 'failed', failure: tell(error) };
      if (!signal.aborted) throw error;
      const message = 'the identity provider did not answer in time';
      return { atProvider: 'failed', failure: { code: 'provider-unreachable', message } };
    }
  }

  #removeIdentity({ held }: Session): void {
    if (held !== undefined) this.#parts.store.remove(identityId(held.certificate.blob));
  }

  #wake(): void {
    if (this.#stop.signal.aborted) return;
    this.#alarm.ring('changed');
    if (this.#loop === undefined && this.size > 0) {
      this.#loop = this.#run()
        .catch(this.#parts.report)
        .finally(() => {
          this.#loop = undefined;
          if (this.size > 0) this.#wake(); // one came while it ended
        });
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    using _watch = watchForWakes(this.#alarm, this.#state);
    await using _schedule = await startSchedule(() => this.#alarm.ring('schedule'));
    while (!signal.aborted && this.size > 0) {
      const now = Date.now();
      const due = this.#all().filter((session) => (plannedAt(session, now) ?? Infinity) <= now);
      for (const { id } of due) void this.#renewOne(id).catch(this.#onFault);
      const busy = new Set(this.#renewing.keys());
      const idle = this.#all().filter(({ id }) => !busy.has(id));
      const reason = await this.#alarm.wait(Math.min(...idle.map((each) => nextEvent(each, now))) - now, signal);
      this.#parts.notify(); // what is told depends on the time
      if (reason !== 'due' && reason !== 'schedule' && reason !== 'changed') this.#hurry();
    }
  }

  readonly #onFault = (error: unknown): void => {
    if (!this.#stop.signal.aborted) this.#parts.report(error);
  };

  /** The machine slept, or another network is there: what failed on the way may work now. */
  #hurry(): void {
    const now = Date.now();
    for (const { id, trouble } of this.#all())
      if (trouble !== undefined && !trouble.needsPerson)
        this.#change(id, (session) => ({ ...session, trouble: { ...trouble, retryAt: now } }));
  }
}

function tell({ code, message, advice }: Failure) {
  const most = 4096;
  return { code, message: message.slice(0, most), ...(advice === undefined ? {} : { advice: advice.slice(0, most) }) };
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Epoch milliseconds of the next moment at which something is to be done or told. */
function nextEvent(session: Session, now: number): number {
  const planned = plannedAt(session, now);
  const due = session.held === undefined ? Infinity : dueAt(session.held);
  return planned ?? (due > now ? due : Infinity);
}
