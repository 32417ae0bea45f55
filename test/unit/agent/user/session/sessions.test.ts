/** The sessions of the agent with a clock in the test's hand, and a CA and a provider that answer as the test says. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LoginError } from '#agent/user/login/login-error.ts';
import { identityId } from '#agent/user/identity.ts';
import { IdentityStore } from '#agent/user/identity-store.ts';
import type { Keychain, KeychainItem } from '#agent/user/keychain/keychain.ts';
import type { Session } from '#agent/user/session/session.ts';
import type { Renewing } from '#agent/user/session/session-renewal.ts';
import { readSessions } from '#agent/user/session/session-restore.ts';
import { SessionVault } from '#agent/user/session/session-vault.ts';
import { type SessionParts, SignInSessions } from '#agent/user/session/sessions.ts';
import { START, certificateFor, sampleProvisioner, sampleSession } from './session-sample.ts';

/** Certificates are for nine of them. */
const MINUTE = 60_000;

beforeEach(() => {
  vi.useFakeTimers({
    now: START,
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets everything run that does not wait for a timer. */
async function settle(): Promise<void> {
  for (let count = 0; count < 20; count++) await turn();
}

async function pass(milliseconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(milliseconds);
  await settle();
}

interface Setting {
  readonly sessions: SignInSessions;
  readonly store: IdentityStore;
  readonly renewals: number[];
  readonly items: Map<string, string>;
  readonly keychain: Keychain;
  answer: (session: Session, renewing: Renewing) => Promise<void>;
  readonly ended: string[];
}

function open(): Setting & AsyncDisposable {
  const store = new IdentityStore(() => setting.sessions?.noticeRemoved());
  const items = new Map<string, string>();
  const keychain: Keychain = {
    list: async () => [...items].map(([account, secret]): KeychainItem => ({ account, secret })),
    write: async ({ account, secret }) => void items.set(account, secret),
    remove: async (account) => void items.delete(account),
  };
  const parts: SessionParts = {
    store,
    clock: () => ({ monotonicMs: performance.now(), epochMs: Date.now() }),
    vault: new SessionVault(keychain, '/agent.sock'),
    notify: () => undefined,
    report: (error) => expect.unreachable(String(error)),
    renew: async (session, renewing) => {
      setting.renewals.push((Date.now() - START) / MINUTE);
      await setting.answer(session, renewing);
      return certificateFor(session.key, Date.now(), Date.now() + 9 * MINUTE);
    },
    endAtProvider: async ({ refreshToken = '' }) => {
      setting.ended.push(refreshToken);
      return 'revoked';
    },
  };
  const setting: Setting & AsyncDisposable = {
    sessions: undefined as unknown as SignInSessions,
    store,
    renewals: [],
    items,
    keychain,
    answer: async () => undefined,
    ended: [],
    [Symbol.asyncDispose]: async () => setting.sessions[Symbol.asyncDispose](),
  };
  return Object.assign(setting, { sessions: new SignInSessions(parts) });
}

async function signIn({ sessions }: Setting, refreshToken = 'first'): Promise<Session> {
  const { key, caUrl, place } = sampleSession();
  const certificate = certificateFor(key, Date.now(), Date.now() + 9 * MINUTE);
  return sessions.adopt(
    { provisioner: sampleProvisioner, key, certificate, isBound: true, idToken: '', refreshToken } as never,
    caUrl,
    place,
  );
}

const away = async () => {
  throw new LoginError('provider-unreachable', 'away');
};

describe('a session', () => {
  test('is renewed at its time, again and again, and the store always has one certificate of it', async () => {
    await using setting = open();
    await signIn(setting);
    await pass(6 * MINUTE - 1000);
    expect(setting.renewals).toEqual([]);
    for (let count = 0; count < 8; count++) await pass(MINUTE);
    expect(setting.renewals).toHaveLength(2);
    expect(setting.store.size).toBe(1);
    expect(setting.sessions.hasValid()).toBe(true);
  });

  test('is renewed as soon as the machine is awake, when it slept past the moment', async () => {
    await using setting = open();
    await signIn(setting);
    await pass(MINUTE);
    vi.setSystemTime(START + 60 * 24 * 60 * MINUTE); // the monotonic clock stood still
    await pass(11_000);
    expect(setting.renewals).toHaveLength(1);
    expect(setting.sessions.hasValid()).toBe(true);
  });

  test('is tried again after a failure, with growing pauses, and at once after a sleep', async () => {
    await using setting = open();
    await signIn(setting);
    setting.answer = away;
    await pass(8.9 * MINUTE);
    const count = setting.renewals.length;
    expect(count).toBeGreaterThan(1);
    expect(count).toBeLessThan(20);
    setting.answer = async () => undefined;
    vi.setSystemTime(Date.now() + 5 * 60_000);
    await pass(11_000);
    expect(setting.renewals).toHaveLength(count + 1);
    expect(setting.sessions.describe(Date.now()).sessions[0]?.renewal.failure).toBeUndefined();
  });

  test('keeps the refresh token that replaced the last one before it goes on, and still has it when the rest fails', async () => {
    await using setting = open();
    await signIn(setting);
    let kept = '';
    setting.answer = async (_session, { keep }) => {
      await keep((current) => ({ ...current, refreshToken: 'second' }));
      kept = [...setting.items.values()].join('');
      await away();
    };
    expect(await setting.sessions.renew()).toMatchObject([{ renewed: false }]);
    expect(kept).toContain('"refreshToken":"second"');
    await setting.sessions.signOut();
    expect(setting.ended).toEqual(['second']);
  });

  test('asks the person when it is over, and not the provider any more', async () => {
    await using setting = open();
    await signIn(setting);
    setting.answer = async (_session, { keep }) => {
      await keep(({ refreshToken: _ended, ...current }) => current);
      throw new LoginError('session-ended', 'over');
    };
    await setting.sessions.renew();
    await pass(60 * MINUTE);
    expect(setting.renewals).toHaveLength(1);
    expect(setting.sessions.describe(Date.now()).needed).toMatchObject([{ reason: 'ended' }]);
    expect(setting.items.size).toBe(0);
  });

  test('comes back from the keychain with its certificate, and is renewed at the same moment', async () => {
    await using before = open();
    await signIn(before);
    await using after = open();
    for (const [account, secret] of before.items) after.items.set(account, secret);
    after.sessions.bringBack((await new SessionVault(after.keychain, '/agent.sock').load()) ?? []);
    expect(after.sessions.hasValid()).toBe(true);
    expect(after.renewals).toEqual([]);
    await pass(7 * MINUTE);
    expect(after.renewals).toHaveLength(1);
  });

  test('ends: store, keychain and provider forget it, also when a renewal is on its way', async () => {
    await using setting = open();
    await signIn(setting);
    const underway = Promise.withResolvers<void>();
    setting.answer = async (_session, { keep }) => {
      await underway.promise;
      await keep((current) => ({ ...current, refreshToken: 'second' }));
    };
    const renewal = setting.sessions.renew();
    const ending = setting.sessions.signOut();
    underway.resolve();
    expect(await ending).toMatchObject([{ atProvider: 'revoked' }]);
    await renewal;
    await settle();
    expect([setting.ended, setting.store.size, setting.items.size, setting.sessions.size]).toEqual([
      ['second'],
      0,
      0,
      0,
    ]);
  });

  test('ends when its identity is taken from the store', async () => {
    await using setting = open();
    await signIn(setting);
    setting.store.clear();
    await settle();
    expect([setting.sessions.size, setting.ended, setting.items.size]).toEqual([0, ['first'], 0]);
  });

  test('takes the place of the last one with the same provisioner', async () => {
    await using setting = open();
    const first = await signIn(setting);
    const second = await signIn(setting, 'other');
    await settle();
    expect(setting.sessions.describe(Date.now()).sessions.map(({ id }) => id)).toEqual([second.id]);
    expect(setting.items.size).toBe(1);
    expect(setting.ended).toEqual([]); // a provider may take that for the end of the new one too
    expect(setting.store.find(identityId(first.held?.certificate.blob ?? new Uint8Array()))).toBeUndefined();
  });
});

test('a keychain that is locked at the start is asked again, until there is an answer or another sign-in', async () => {
  const answers = [undefined, undefined, [sampleSession()]];
  const load = vi.fn<() => Promise<Session[] | undefined>>(async () => answers.shift());
  const stop = new AbortController();
  const reading = readSessions({ load }, () => true, stop.signal);
  await pass(4000);
  expect(load).toHaveBeenCalledTimes(1);
  await pass(40_000);
  expect(await reading).toMatchObject([{ id: 'session-of-alice' }]);
  expect(await readSessions({ load: async () => undefined }, () => false, stop.signal)).toBeUndefined();
  const stopped = readSessions({ load: async () => undefined }, () => true, stop.signal);
  stop.abort();
  expect(await stopped).toBeUndefined();
});

test('of several sign-ins with one provisioner the last is brought back, and the others end', async () => {
  await using setting = open();
  const [old, last] = [1, 2].map((count) =>
    sampleSession({ id: `session-${count}`, signedInAt: START + count, refreshToken: `token-${count}` }),
  );
  const other = sampleSession({ id: 'session-3', provisionerName: 'other', refreshToken: 'token-3' });
  setting.sessions.bringBack([last, old, other].flatMap((each) => each ?? []));
  await settle();
  expect(
    setting.sessions
      .describe(Date.now())
      .sessions.map(({ id }) => id)
      .toSorted(),
  ).toEqual(['session-2', 'session-3']);
  expect(setting.ended).toEqual([]);
});
