/** The contract of sign-ins and their renewals (docs/oidc.md): what one transaction decides, whatever comes at once. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { assembleCertificate, encodeToBeSigned } from '#openssh/certificate.ts';
import { publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import type { RevocationTarget } from '#ca-lite/store/revocation-decisions.ts';
import type { Store } from '#ca-lite/store/store.ts';
import type { UserRenewalRequest } from '#ca-lite/store/user-decisions.ts';
import type { MakeHome } from './store.ts';
import { fingerprint, intent, note, now, result, token } from './store-requests.ts';

const caKey = generateKeyPairSync('ed25519').privateKey;
const userKey = publicKeyFromObject(generateKeyPairSync('ed25519').privateKey);
const KEY = fingerprint('the user');
const ID = 'alice@example.com via corp';
const KEY_ID = `${ID} at 2030-01-01T00:00:00Z`;
const HOUR = 3600n;

/** Real bytes: a KRL names the CA key that a certificate holds. */
function bytesOf(serial: bigint, extension = 'permit-pty'): { signedBytes: Uint8Array; certificate: Uint8Array } {
  const signedBytes = encodeToBeSigned({
    key: userKey,
    type: 'user',
    serial,
    keyId: KEY_ID,
    principals: ['alice'],
    validAfter: now,
    validBefore: now + 16n * HOUR,
    criticalOptions: [],
    extensions: [{ name: extension, data: new Uint8Array() }],
    nonce: new Uint8Array(32),
    signatureKey: publicKeyFromObject(caKey),
  });
  const signature = signWithKeyObject(caKey, 'ssh-ed25519', signedBytes);
  return { signedBytes, certificate: assembleCertificate(signedBytes, signature) };
}

const facts = (serial: bigint, extension?: string) => ({
  type: 'user' as const,
  keyFingerprint: KEY,
  keyId: KEY_ID,
  principals: ['alice'],
  validAfter: now,
  validBefore: now + 16n * HOUR,
  signedBytes: bytesOf(serial, extension).signedBytes,
});

async function finish(store: Store, serial: bigint, extension?: string): Promise<void> {
  const { certificate } = bytesOf(serial, extension);
  expect(await store.recordResult(result(serial, { certificate }))).toMatchObject({ accepted: true });
}

/** The certificate of a sign-in. */
async function signIn(store: Store, serial = 1n, claims: string | null = '{"sub":"a"}'): Promise<void> {
  const lineage = `session-${serial}`;
  const made = intent(serial, { ...facts(serial), provisioner: 'corp', lineage, signIn: { identity: ID, claims } });
  expect(await store.recordIntent(made)).toMatchObject({ accepted: true });
  await finish(store, serial);
}

function renewal(
  presented: bigint,
  successor: bigint,
  changes: Partial<UserRenewalRequest> = {},
  extension?: string,
): UserRenewalRequest {
  const { serial, requester } = intent(successor);
  const made = facts(successor, extension);
  return {
    token: token(`renew-${presented}-${successor}`),
    serial: presented,
    now,
    intent: { serial, requester, ...made, provisioner: 'sshpop' },
    policyRefusal: null,
    // Options, the reserved field, the CA key and their lengths.
    sameEnd: made.signedBytes.subarray(-51 - 12 - 8 - (extension ?? 'permit-pty').length - 4),
    needsGrant: false,
    maxRenewals: 100,
    audit: note('certificate-renew', { serial: presented }),
    ...changes,
  };
}

const grantFor = (kind: 'user' | 'serial' | 'lineage' | 'host', value: string, uses = 1) => ({
  kind,
  value,
  uses,
  expiresAt: now + HOUR,
  now,
  createdBy: 'admin',
  audit: note('grant-make'),
});

const revocation = (target: RevocationTarget) => ({
  target,
  reason: 'a test',
  now,
  revokedBy: 'admin',
  token: null,
  audit: note('revoke'),
});

export function userRenewalContract(makeHome: MakeHome): void {
  describe('renewals of users', () => {
    test('keep who signed in, and find it by its certificates', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await signIn(store);
      expect(await store.userRenewalSubject(1n)).toMatchObject({
        certificate: { serial: 1n, identity: ID },
        signIn: { session: 'session-1', identity: ID, provisioner: 'corp', claims: '{"sub":"a"}', signedInAt: now },
      });
      await store.recordUserRenewal(renewal(1n, 2n));
      await finish(store, 2n);
      expect(await store.userRenewalSubject(2n)).toMatchObject({
        certificate: { serial: 2n, identity: ID, predecessor: 1n, lineage: 'session-1' },
        signIn: { session: 'session-1', principals: ['alice'] },
      });
      const { items } = await store.certificates({ identity: ID }, { limit: 10 });
      expect(items.map(({ serial }) => serial)).toEqual([2n, 1n]);
      expect(await store.userRenewalSubject(3n)).toBeNull();
      await store.recordIntent(intent(5n, { type: 'user', principals: ['bob'] }));
      await store.recordResult(result(5n));
      expect(await store.userRenewalSubject(5n)).toMatchObject({ certificate: { identity: null }, signIn: null });
      expect(await store.recordUserRenewal(renewal(5n, 6n))).toMatchObject({ refusal: 'certificate-unknown' });
    });

    test('one intent of many at once, also of two processes, and then the same certificate again', async () => {
      await using home = await makeHome();
      await using one = await home.open();
      await using two = await home.open({ beside: true });
      await signIn(one);
      const decisions = await Promise.all(
        Array.from({ length: 12 }, async (_, n) =>
          (n % 2 === 0 ? one : two).recordUserRenewal(renewal(1n, BigInt(n + 2))),
        ),
      );
      const intended = decisions.filter((decision) => decision.accepted && decision.outcome === 'intended');
      expect(intended).toHaveLength(1);
      const serial = intended.map((decision) => (decision.accepted ? decision.serial : 0n))[0] ?? 0n;
      const others = decisions.filter((decision) => !intended.includes(decision));
      for (const decision of others) expect(decision).toMatchObject({ outcome: 'underway', serial });
      await finish(one, serial);
      expect(await two.recordUserRenewal(renewal(1n, 50n))).toMatchObject({ outcome: 'issued', serial, renewals: 1 });
      expect(await two.recordUserRenewal(renewal(1n, 50n))).toMatchObject({ refusal: 'token-used' });
    });

    test('another certificate when it would say something else, or would be due itself', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await signIn(store);
      await store.recordUserRenewal(renewal(1n, 2n));
      await finish(store, 2n);
      const other = renewal(1n, 3n, {}, 'no-port-forwarding');
      expect(await store.recordUserRenewal(other)).toMatchObject({ outcome: 'intended', serial: 3n });
      await finish(store, 3n, 'no-port-forwarding');
      expect(await store.recordUserRenewal(renewal(1n, 4n))).toMatchObject({ outcome: 'issued', serial: 2n });
      const late = renewal(1n, 5n, { now: now + 11n * HOUR, token: token('late', false, now + 12n * HOUR) });
      expect(await store.recordUserRenewal(late)).toMatchObject({ outcome: 'intended', renewals: 3 });
    });

    test('count the renewals of a sign-in, but not those that were called off', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await signIn(store);
      await signIn(store, 10n);
      const atMost = { maxRenewals: 1 };
      await store.recordUserRenewal(renewal(1n, 2n, atMost));
      await store.abandonIntent({ serial: 2n, now, audit: note('certificate-abandon') });
      expect(await store.recordUserRenewal(renewal(1n, 3n, atMost))).toMatchObject({
        outcome: 'intended',
        renewals: 1,
      });
      await finish(store, 3n);
      expect(await store.recordUserRenewal(renewal(3n, 4n, atMost))).toMatchObject({ refusal: 'renewal-expired' });
      expect(await store.recordUserRenewal(renewal(10n, 11n, atMost))).toMatchObject({ outcome: 'intended' });
    });

    test.each([
      ['user', ID],
      ['user', KEY_ID],
      ['serial', '1'],
      ['lineage', 'session-1'],
    ] as const)('spend a grant for the %s %s once, and give it back', async (kind, value) => {
      await using home = await makeHome();
      await using store = await home.open();
      await signIn(store);
      const byLeave = { needsGrant: true };
      await store.makeGrant(grantFor('host', ID));
      await store.makeGrant(grantFor('user', 'bob@example.com via corp'));
      expect(await store.recordUserRenewal(renewal(1n, 2n, byLeave))).toMatchObject({ refusal: 'renewal-expired' });
      const { grant } = await store.makeGrant(grantFor(kind, value));
      expect(await store.recordUserRenewal(renewal(1n, 2n, byLeave))).toMatchObject({
        outcome: 'intended',
        granted: true,
      });
      const leftOf = async () =>
        (await store.grants(undefined, { limit: 10 })).items.find((one) => one.grant === grant)?.usesLeft;
      expect(await leftOf()).toBe(0);
      await store.abandonIntent({ serial: 2n, now, audit: note('certificate-abandon') });
      expect(await leftOf()).toBe(1);
      await store.recordUserRenewal(renewal(1n, 3n, byLeave));
      await finish(store, 3n);
      expect(await store.recordUserRenewal(renewal(1n, 4n, byLeave))).toMatchObject({
        outcome: 'issued',
        granted: true,
      });
      expect(await leftOf()).toBe(0);
      const [entry] = (await store.audit({ action: 'certificate-renew' }, { limit: 2 })).items.slice(1);
      expect(entry).toMatchObject({ outcome: 'allowed', code: `grant-${grant}` });
    });

    test.each([
      ['serial', { kind: 'serial', serial: 2n }],
      ['key', { kind: 'key', keyFingerprint: KEY }],
      ['user', { kind: 'user', keyId: ID }],
      ['sign-in', { kind: 'user', keyId: KEY_ID }],
    ] as const)('end for good with the %s revoked', async (_, target) => {
      await using home = await makeHome();
      await using store = await home.open();
      await signIn(store);
      await store.recordUserRenewal(renewal(1n, 2n));
      await finish(store, 2n);
      await store.recordUserRenewal(renewal(2n, 3n));
      expect(await store.revoke(revocation(target))).toMatchObject({ accepted: true });
      await store.makeGrant(grantFor('user', ID));
      for (const serial of [1n, 2n])
        expect(await store.recordUserRenewal(renewal(serial, 20n + serial))).toMatchObject({
          refusal: 'renewal-revoked',
        });
    });

    test('say what policy refused, and spend nothing', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await signIn(store);
      const refused = renewal(1n, 2n, { intent: null, policyRefusal: 'sign-in-needed', sameEnd: new Uint8Array(1) });
      expect(await store.recordUserRenewal(refused)).toMatchObject({ refusal: 'policy' });
      expect((await store.audit({ outcome: 'refused' }, { limit: 1 })).items[0]?.code).toBe('sign-in-needed');
      expect(await store.recordUserRenewal(renewal(1n, 2n))).toMatchObject({ outcome: 'intended' });
      expect(await store.recordUserRenewal(renewal(9n, 10n))).toMatchObject({ refusal: 'certificate-unknown' });
    });

    test('know nothing of a sign-in whose certificate did not come', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const made = { ...facts(1n), provisioner: 'corp', lineage: 'again', signIn: { identity: ID, claims: null } };
      await store.recordIntent(intent(1n, made));
      await store.abandonIntent({ serial: 1n, now, audit: note('certificate-abandon') });
      expect(await store.userRenewalSubject(1n)).toBeNull();
      const second = { ...made, ...facts(2n) };
      expect(await store.recordIntent(intent(2n, second))).toMatchObject({ accepted: true });
    });
  });
}
