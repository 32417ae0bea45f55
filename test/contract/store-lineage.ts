/** The contract of lineages, grants and revocations (docs/lineage.md): what one transaction decides, whatever comes at once. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { verifyStoredAudit } from '#ca-lite/audit/verify-store.ts';
import type { RevocationTarget } from '#ca-lite/store/revocation-decisions.ts';
import type { RenewalRequest } from '#ca-lite/store/lineage-decisions.ts';
import type { Store } from '#ca-lite/store/store.ts';
import { assembleCertificate, encodeToBeSigned } from '#openssh/certificate.ts';
import { publicKeyFromObject } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import type { MakeHome } from './store.ts';
import { fingerprint, intent, note, now, result, token } from './store-requests.ts';

const caKey = generateKeyPairSync('ed25519').privateKey;
const hostKey = publicKeyFromObject(generateKeyPairSync('ed25519').privateKey);
const KEY = fingerprint('the host');
const NAME = 'web.example.com';
const GRACE = 300n;

/** Real bytes: a KRL names the CA key that a certificate holds. */
function bytesOf(serial: bigint): { signedBytes: Uint8Array; certificate: Uint8Array } {
  const signedBytes = encodeToBeSigned({
    key: hostKey,
    type: 'host',
    serial,
    keyId: NAME,
    principals: [NAME],
    validAfter: now,
    validBefore: now + 86_400n,
    criticalOptions: [],
    extensions: [],
    nonce: new Uint8Array(32),
    signatureKey: publicKeyFromObject(caKey),
  });
  return {
    signedBytes,
    certificate: assembleCertificate(signedBytes, signWithKeyObject(caKey, 'ssh-ed25519', signedBytes)),
  };
}

const facts = (serial: bigint) => ({
  keyFingerprint: KEY,
  keyId: NAME,
  principals: [NAME],
  signedBytes: bytesOf(serial).signedBytes,
});

async function finish(store: Store, serial: bigint): Promise<void> {
  expect(await store.recordResult(result(serial, { certificate: bytesOf(serial).certificate }))).toMatchObject({
    accepted: true,
  });
}

/** The first certificate of a lineage called `line`. */
async function first(store: Store, serial = 1n): Promise<void> {
  await store.recordIntent(intent(serial, { ...facts(serial), lineage: 'line' }));
  await finish(store, serial);
}

function renewal(
  presented: bigint,
  successor: bigint,
  at = now,
  changes: Partial<RenewalRequest> = {},
): RenewalRequest {
  const { serial, type, validAfter, validBefore, requester } = intent(successor);
  return {
    token: token(`renew-${presented}-${successor}-${at}`, false, at + 300n),
    presented: { serial: presented, signedAt: at, requester: '192.0.2.7', now: at, graceSeconds: GRACE },
    intent: {
      serial,
      type,
      validAfter,
      validBefore,
      requester,
      ...facts(successor),
      provisioner: 'sshpop',
    },
    policyRefusal: null,
    needsGrant: false,
    audit: note('certificate-renew', { serial: presented }),
    ...changes,
  };
}

const reportOf = (serial: bigint, at = now) => ({
  token: token(`report-${serial}-${at}`, false, at + 300n),
  presented: { serial, signedAt: at, requester: '192.0.2.7', now: at, graceSeconds: GRACE },
  report: { agentVersion: '1.0.0', trustedHostCas: [KEY], trustedUserCas: [], krlNumber: 4n },
  audit: note('host-report', { serial }),
});

const revocation = (target: RevocationTarget, at = now) => ({
  target,
  reason: 'a test',
  now: at,
  revokedBy: 'admin',
  token: null,
  audit: note('revoke'),
});

const grantFor = (value: string, uses: number) => ({
  kind: 'lineage' as const,
  value,
  uses,
  expiresAt: now + 3600n,
  now,
  createdBy: 'admin',
  audit: note('grant-make'),
});

export function lineageContract(makeHome: MakeHome): void {
  describe('lineages', () => {
    test('of renewals at once one is intended, the others wait for it; then all get the same, also after opening again', async () => {
      await using home = await makeHome();
      {
        await using store = await home.open();
        await first(store);
        const asked = Array.from({ length: 20 }, async (_, index) =>
          store.recordRenewal(renewal(1n, BigInt(index + 2))),
        );
        const decisions = await Promise.all(asked);
        const outcomes = decisions.map((decision) => (decision.accepted ? decision.outcome : decision.refusal));
        expect(outcomes.filter((outcome) => outcome === 'intended')).toHaveLength(1);
        expect(outcomes.filter((outcome) => outcome === 'underway')).toHaveLength(19);
        const serial = decisions.find((decision) => decision.accepted && decision.outcome === 'underway');
        expect(serial).toMatchObject({ serial: 2n });
        await finish(store, 2n);
      }
      await using store = await home.open();
      expect(await store.recordRenewal(renewal(1n, 50n))).toMatchObject({ outcome: 'issued', serial: 2n });
      expect(await store.certificate(2n)).toMatchObject({ lineage: 'line', predecessor: 1n });
      expect(await store.lineage('line')).toMatchObject({ head: 1n, state: 'active' });
      expect((await verifyStoredAudit(store)).ok).toBe(true);
    });

    test('decides alike from two processes', async () => {
      await using home = await makeHome();
      await using one = await home.open();
      await using two = await home.open({ beside: true });
      await first(one);
      const decisions = await Promise.all([one.recordRenewal(renewal(1n, 2n)), two.recordRenewal(renewal(1n, 3n))]);
      const outcomes = decisions.map((decision) => (decision.accepted ? decision.outcome : decision.refusal));
      expect(outcomes.toSorted()).toEqual(['intended', 'underway']);
    });

    test('the head moves when a successor is seen in use, and never back', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await first(store);
      await store.recordRenewal(renewal(1n, 2n));
      await finish(store, 2n);
      expect(await store.recordReport(reportOf(2n))).toMatchObject({
        accepted: true,
        acknowledged: true,
        lineage: 'line',
      });
      expect(await store.recordReport(reportOf(2n, now + 1n))).toMatchObject({ acknowledged: false });
      expect(await store.report('line')).toMatchObject({ serial: 2n, agentVersion: '1.0.0', krlNumber: 4n });
      expect(await store.recordRenewal(renewal(1n, 3n, now + GRACE))).toMatchObject({ refusal: 'not-lineage-head' });
      expect(await store.lineage('line')).toMatchObject({ head: 2n, state: 'active' });
      const later = now + GRACE + 200n;
      expect(await store.recordRenewal(renewal(1n, 4n, later))).toMatchObject({ refusal: 'lineage-quarantined' });
      expect(await store.recordRenewal(renewal(2n, 5n, later))).toMatchObject({ refusal: 'lineage-quarantined' });
      expect((await store.sightings('line')).map(({ serial, times }) => [serial, times])).toEqual([
        [2n, 2n],
        [1n, 1n],
      ]);
      expect(await store.certificate(3n)).toBeNull();
    });

    test('an intent that was abandoned is as if it had not been', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await first(store);
      await store.recordRenewal(renewal(1n, 2n));
      await store.abandonIntent({ serial: 2n, now, audit: note('certificate-abandon') });
      expect(await store.recordRenewal(renewal(1n, 3n))).toMatchObject({ outcome: 'intended' });
    });

    test('a policy that refuses still sees who came', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await first(store);
      await store.recordRenewal(renewal(1n, 2n));
      await finish(store, 2n);
      const refused = { intent: null, policyRefusal: 'renewal-no-principals' };
      expect(await store.recordRenewal(renewal(2n, 3n, now, refused))).toMatchObject({ refusal: 'policy' });
      expect(await store.lineage('line')).toMatchObject({ head: 2n });
      expect((await store.audit({ outcome: 'refused' }, { limit: 5 })).items[0]?.code).toBe('renewal-no-principals');
    });
  });

  describe('grants', () => {
    test('are used up one by one, whatever comes at once, and given back with an abandoned intent', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await first(store);
      const expired = { needsGrant: true };
      expect(await store.recordRenewal(renewal(1n, 2n, now, expired))).toMatchObject({ refusal: 'renewal-expired' });
      const { grant } = await store.makeGrant(grantFor('line', 1));
      expect(await store.recordRenewal(renewal(1n, 2n, now, expired))).toMatchObject({ outcome: 'intended' });
      expect((await store.grants(now, { limit: 5 })).items).toEqual([]);
      await store.abandonIntent({ serial: 2n, now, audit: note('certificate-abandon') });
      expect((await store.grants(now, { limit: 5 })).items).toMatchObject([{ grant, usesLeft: 1 }]);
      expect((await store.grants(now + 3600n, { limit: 5 })).items).toEqual([]);
    });
  });

  describe('revocations', () => {
    test('number the KRL, once for each decision, and stop renewals for good', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await first(store);
      await store.recordRenewal(renewal(1n, 2n));
      await finish(store, 2n);
      expect(await store.krlState()).toEqual({ number: 0n, changedAt: 0n });
      expect(await store.revoke(revocation({ kind: 'serial', serial: 9n }))).toMatchObject({
        refusal: 'nothing-to-revoke',
      });
      expect(await store.revoke(revocation({ kind: 'serial', serial: 1n }))).toMatchObject({
        krlNumber: 1n,
        certificates: 2,
      });
      expect(await store.revoke(revocation({ kind: 'serial', serial: 1n }))).toMatchObject({
        refusal: 'already-revoked',
      });
      expect(await store.revoke(revocation({ kind: 'key', keyFingerprint: KEY }))).toMatchObject({ krlNumber: 2n });
      const page = await store.revokedSerials(0n);
      expect(new Set([...(page?.byCa.values() ?? [])].flatMap((serials) => [...serials]))).toEqual(new Set([1n, 2n]));
      expect(await store.revokedSerials(page?.upTo ?? 0n)).toBeNull();
      expect((await store.revokedKeys(0n)).map(({ keyFingerprint }) => keyFingerprint)).toEqual([KEY]);
      for (const serial of [1n, 2n])
        expect(await store.recordRenewal(renewal(serial, 10n + serial))).toMatchObject({ refusal: 'renewal-revoked' });
      expect(await store.recordIntent(intent(20n, facts(20n)))).toMatchObject({ refusal: 'key-revoked' });
    });

    test('call off what is being signed at that moment', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      await first(store);
      await store.recordRenewal(renewal(1n, 2n));
      expect(await store.revoke(revocation({ kind: 'host', name: NAME }))).toMatchObject({ certificates: 1 });
      const late = await store.recordResult(result(2n, { certificate: bytesOf(2n).certificate }));
      expect(late).toMatchObject({ refusal: 'intent-closed' });
      expect((await store.counts()).certificates.host).toEqual({ intended: 0n, issued: 1n, abandoned: 1n });
    });
  });
}
