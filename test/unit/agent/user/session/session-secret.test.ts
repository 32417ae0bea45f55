/** A session as a text for the keychain, and back. */
import { describe, expect, test } from 'vitest';
import type { Keychain, KeychainItem } from '#agent/user/keychain/keychain.ts';
import { KeychainError } from '#agent/user/keychain/keychain.ts';
import { identityNonce } from '#protocol/identity-binding.ts';
import { formatSecret, parseSecret } from '#agent/user/session/session-secret.ts';
import { SessionVault } from '#agent/user/session/session-vault.ts';
import { sampleSession } from './session-sample.ts';

function membersOf(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

describe('a secret', () => {
  test('brings back key, nonce, certificate and refresh token', () => {
    const session = sampleSession({ place: { stateDirectory: '/state', providerCa: '/root.pem' } });
    const back = parseSecret(formatSecret(session) ?? '');
    expect(back).toMatchObject({
      id: session.id,
      place: session.place,
      caUrl: session.caUrl,
      provisionerName: 'corp',
      refreshToken: 'first',
      isBound: true,
      storedIn: 'keychain',
    });
    expect(back?.key.nonce).toBe(session.key.nonce);
    expect(back?.key.nonce).toBe(identityNonce(session.key.blob, session.key.salt));
    expect(back?.held?.certificate.blob).toEqual(session.held?.certificate.blob);
  });

  test('of a session that is not bound to its key has no key in it, and no certificate', () => {
    const session = sampleSession({ isBound: false });
    const text = formatSecret(session) ?? '';
    expect(text).not.toContain('"key"');
    const back = parseSecret(text);
    expect(back).toMatchObject({ isBound: false, refreshToken: 'first' });
    expect(back?.held).toBeUndefined();
    expect(back?.key.nonce).not.toBe(session.key.nonce);
  });

  test('fits a small keychain: the certificate stays out when it is too long with it', () => {
    const text = formatSecret(sampleSession({ refreshToken: 'x'.repeat(1800) })) ?? '';
    expect(text.length).toBeLessThanOrEqual(2400);
    expect(parseSecret(text)).toMatchObject({ isBound: true });
    expect(parseSecret(text)?.held).toBeUndefined();
  });

  test('is none without a refresh token', () => {
    const { refreshToken: _none, ...session } = sampleSession();
    expect(formatSecret(session)).toBeUndefined();
  });

  test('that somebody changed is no session', () => {
    const text = formatSecret(sampleSession()) ?? '';
    const foreignKey = formatSecret(sampleSession()) ?? '';
    const mixed = { ...membersOf(text), certificate: membersOf(foreignKey)['certificate'] };
    const noKey = { ...membersOf(text), key: { d: 'A'.repeat(43), x: 'A'.repeat(43), salt: '!' } };
    for (const each of ['', '{', '[]', '{}', text.slice(1), JSON.stringify(mixed), JSON.stringify(noKey)])
      expect(parseSecret(each)).toBeUndefined();
    expect(parseSecret(JSON.stringify({ ...membersOf(text), more: 1 }))).toBeUndefined();
  });
});

/** As a keychain that lives in memory; `broken` makes it refuse. */
class FakeKeychain implements Keychain {
  readonly items = new Map<string, string>();
  broken = false;

  async list(): Promise<KeychainItem[]> {
    this.#check();
    return [...this.items].map(([account, secret]) => ({ account, secret }));
  }
  async write({ account, secret }: KeychainItem): Promise<void> {
    this.#check();
    this.items.set(account, secret);
  }
  async remove(account: string): Promise<void> {
    this.#check();
    this.items.delete(account);
  }
  #check(): void {
    if (this.broken) throw new KeychainError('keychain-locked', 'locked');
  }
}

describe('the vault', () => {
  test('gives an agent the sessions of its own socket alone', async () => {
    const keychain = new FakeKeychain();
    const [mine, other] = [new SessionVault(keychain, '/a.sock'), new SessionVault(keychain, '/b.sock')];
    expect(await mine.save(sampleSession())).toBe('keychain');
    keychain.items.set('/a.sock session-of-bob', 'damaged');
    expect(await mine.load()).toMatchObject([{ id: 'session-of-alice' }]);
    expect(await other.load()).toEqual([]);
    expect(mine.description).toEqual({ kind: 'system' });
  });

  test('says that memory is all there is when the keychain refuses, and does not leave an old refresh token behind', async () => {
    const keychain = new FakeKeychain();
    const vault = new SessionVault(keychain, '/a.sock');
    await vault.save(sampleSession());
    const write = keychain.write.bind(keychain);
    keychain.write = async () => {
      throw new KeychainError('keychain-refused', 'full');
    };
    expect(await vault.save(sampleSession({ refreshToken: 'second', storedIn: 'keychain' }))).toBe('memory');
    expect(keychain.items.size).toBe(0);
    keychain.write = write;
    keychain.broken = true;
    expect(await vault.load()).toBeUndefined();
    expect(vault.description).toEqual({ kind: 'memory', reason: 'locked' });
  });

  test('removes the item when the refresh token is gone', async () => {
    const keychain = new FakeKeychain();
    const vault = new SessionVault(keychain, '/a.sock');
    await vault.save(sampleSession());
    const { refreshToken: _ended, ...session } = sampleSession({ storedIn: 'keychain' });
    expect(await vault.save(session)).toBe('memory');
    expect(keychain.items.size).toBe(0);
  });

  test('uses none where that is switched off', async () => {
    const vault = new SessionVault(undefined, '/a.sock');
    expect(await vault.save(sampleSession())).toBe('memory');
    expect(vault.description.kind).toBe('memory');
  });
});
