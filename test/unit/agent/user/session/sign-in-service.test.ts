/** Which listing of keys may start a sign-in: a login from here, to a host that is meant, when nothing is valid, and not again at once. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ChangeSignal } from '#agent/user/change-signal.ts';
import { identityFrom } from '#agent/user/identity.ts';
import { IdentityStore } from '#agent/user/identity-store.ts';
import type { SessionBinding, SessionBindings } from '#agent/user/session-bindings.ts';
import { SignInService } from '#agent/user/session/sign-in-service.ts';
import { type SignInSettings, defaultSignInSettings } from '#agent/user/session/sign-in-settings.ts';
import { encodePublicKey, publicKeyFromObject } from '#openssh/public-key.ts';
import { certificateFor, sampleSession } from './session-sample.ts';

const hostKey = publicKeyFromObject(generateKeyPairSync('ed25519').privateKey);
const caBlob = encodePublicKey(hostKey);
const hop = (changes: Partial<SessionBinding> = {}): SessionBinding => ({
  hostKey: { blob: caBlob, key: hostKey },
  caBlob,
  sessionId: new Uint8Array(32),
  isForwarding: false,
  ...changes,
});
const plain = (): SessionBinding => {
  const { caBlob: _none, ...rest } = hop();
  return rest;
};

function bound(...hops: readonly SessionBinding[]): SessionBindings {
  return { hops, last: hops.at(-1) } as SessionBindings;
}

function open(settings: Partial<SignInSettings> = {}, store = new IdentityStore()) {
  const service = new SignInService({
    store,
    clock: () => ({ monotonicMs: performance.now(), epochMs: Date.now() }),
    changes: new ChangeSignal(),
    settings: { ...defaultSignInSettings, ...settings },
    socket: '/agent.sock',
    usesKeychain: false,
    watchers: () => 0,
    report: (error) => expect.unreachable(String(error)),
  });
  return { service, store };
}

describe('a listing may start a sign-in', () => {
  test.each([
    ['for a login to a host that shows a certificate', {}, [hop()], true],
    ['not for a host without one', {}, [plain()], false],
    ['for any host where that is set', { hosts: 'all' }, [plain()], true],
    ['not through a forwarded agent', { hosts: 'all' }, [hop({ isForwarding: true }), hop()], false],
    ['not to forward the agent', { hosts: 'all' }, [hop({ isForwarding: true })], false],
    ['not outside of a login', { hosts: 'all' }, [], false],
    ['not when that is off', { whenAsked: 'off', hosts: 'all' }, [hop()], false],
  ] as const)('%s', (_what, settings, hops, isWanted) => {
    const { service, store } = open(settings);
    expect(service.isWanted(store, bound(...hops))).toBe(isWanted);
  });

  test('not while a certificate is there, whoever put it there', () => {
    const { service, store } = open();
    const { key } = sampleSession();
    const now = Date.now();
    const certificate = certificateFor(key, now - (now % 1000), now - (now % 1000) + 60_000);
    const fields = { privateKey: key.privateKey, publicKey: key.publicKey, certificate };
    store.add(identityFrom({ fields, comment: new Uint8Array(), constraints: {} }, { monotonicMs: 0, epochMs: now }));
    expect(service.isWanted(store, bound(hop()))).toBe(false);
  });
});

test('a question that nobody sees is not waited for, and is not in the way of the next login', async () => {
  const { service, store } = open({ hosts: 'all', waitSeconds: 100 });
  await service.provide(store, bound(plain()), AbortSignal.timeout(60_000));
  expect(service.describe().needed).toMatchObject([{ reason: 'asked' }]);
  expect(service.isWanted(store, bound(plain()))).toBe(true);
  await service[Symbol.asyncDispose]();
});

test('a host with a certificate of another CA is none of ours', async () => {
  const { service, store } = open({ stateDirectory: '/nowhere', waitSeconds: 100 });
  await service.provide(store, bound(hop()), AbortSignal.timeout(60_000));
  expect(service.describe().needed).toEqual([]);
  await service[Symbol.asyncDispose]();
});
