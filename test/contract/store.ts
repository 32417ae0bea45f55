/**
 * What every store of the CA must do, whichever database is behind it. A test file calls `storeContract` with a way to
 * make a home: a place for one store that can be opened several times, as several processes would.
 */
import { describe, expect, test } from 'vitest';
import { verifyStoredAudit } from '#ca-lite/audit/verify-store.ts';
import type { Store, StoreReader } from '#ca-lite/store/store.ts';
import { auditContract } from './store-audit.ts';
import { hostContract } from './store-hosts.ts';
import { issuanceContract } from './store-issuance.ts';
import { lineageContract } from './store-lineage.ts';
import { modelContract } from './store-model.ts';
import { certificate, intent, note, result } from './store-requests.ts';
import { rotationContract } from './store-rotation.ts';
import { singleUseContract } from './store-single-use.ts';
import { userRenewalContract } from './store-user-renewal.ts';

export interface StoreHome extends AsyncDisposable {
  /** Opens the store, made at the first call. Another one opened meanwhile is as one of another process. */
  open(options?: { readonly queueLimit?: number; readonly beside?: boolean }): Promise<Store>;
  openReader(): Promise<StoreReader>;
  /** Opens a backup. */
  openCopy(path: string): Promise<StoreReader>;
  /** A path for a file that does not exist yet. */
  newPath(name: string): string;
  /** Changes rows behind the store's back, with every guard against mistakes lifted. */
  tamper(sql: string): Promise<void>;
  /** From now on the database fails to take in a certificate with this key ID. */
  failOn(keyId: string): Promise<void>;
}

export type MakeHome = () => Promise<StoreHome>;

export function storeContract(database: string, makeHome: MakeHome): void {
  describe(`store on ${database}`, () => {
    singleUseContract(makeHome);
    issuanceContract(makeHome);
    hostContract(makeHome);
    lineageContract(makeHome);
    userRenewalContract(makeHome);
    rotationContract(makeHome);
    auditContract(makeHome);
    modelContract(makeHome);
    groupContract(makeHome);
    processContract(makeHome);
    backupContract(makeHome);
  });
}

function groupContract(makeHome: MakeHome): void {
  test('one failing request does not hurt those that share its transaction', async () => {
    await using home = await makeHome();
    await using store = await home.open();
    await home.failOn('cursed');
    const serials = Array.from({ length: 40 }, (_, index) => BigInt(index + 1));
    const outcomes = await Promise.allSettled(
      serials.map((serial) => store.recordIntent(intent(serial, serial % 8n === 0n ? { keyId: 'cursed' } : {}))),
    );
    const failed = serials.filter((_, index) => outcomes[index]?.status === 'rejected');
    expect(failed).toEqual([8n, 16n, 24n, 32n, 40n]);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'store-defect' } });
    for (const serial of serials) {
      expect((await store.certificate(serial)) === null).toBe(failed.includes(serial));
    }
    expect((await store.counts()).certificates.host.intended).toBe(35n);
    expect((await verifyStoredAudit(store)).entries).toBe(35n);
  });

  test('refuses new work when the queue is full, lets in what finishes accepted work, and recovers', async () => {
    await using home = await makeHome();
    await using store = await home.open({ queueLimit: 8 });
    await store.recordIntent(intent(1n));
    const crowd = Array.from({ length: 50 }, (_, index) => store.recordIntent(intent(BigInt(index + 2))));
    const finished = store.recordResult(result(1n));
    expect(store.load).toEqual({ pending: 9, limit: 8 });
    const outcomes = await Promise.allSettled(crowd);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(8);
    for (const outcome of outcomes.slice(8)) expect(outcome).toMatchObject({ reason: { code: 'store-overloaded' } });
    expect(await finished).toMatchObject({ accepted: true });
    expect(await store.recordIntent(intent(100n))).toMatchObject({ accepted: true });
    expect(store.load.pending).toBe(0);
  });

  test('writes what is waiting when it is closed, and then refuses', async () => {
    await using home = await makeHome();
    const store = await home.open();
    const written = Promise.all(
      Array.from({ length: 20 }, (_, index) => store.recordIntent(intent(BigInt(index + 1)))),
    );
    await store.close();
    expect(await written).toHaveLength(20);
    await expect(store.recordIntent(intent(50n))).rejects.toMatchObject({ code: 'store-closed' });
    await expect(store.certificate(1n)).rejects.toMatchObject({ code: 'store-closed' });
    await using again = await home.open();
    expect((await again.counts()).certificates.host.intended).toBe(20n);
  });
}

function processContract(makeHome: MakeHome): void {
  test('several writers at once leave one linear audit chain', async () => {
    await using home = await makeHome();
    await using server = await home.open();
    await using command = await home.open({ beside: true });
    const write = async (store: Store, first: bigint) => {
      for (let serial = first; serial < first + 100n; serial += 1n) {
        await store.recordIntent(intent(serial));
        await store.recordResult(result(serial));
      }
    };
    await Promise.all([write(server, 1n), write(server, 1001n), write(command, 2001n), write(command, 3001n)]);
    const report = await verifyStoredAudit(server);
    expect(report).toMatchObject({ ok: true, entries: 800n });
    expect(report.hash).toEqual((await command.auditHead()).hash);
    expect((await command.counts()).certificates.host.issued).toBe(400n);
  });

  test('a decision of one writer binds the other at once', async () => {
    await using home = await makeHome();
    await using server = await home.open();
    await using command = await home.open({ beside: true });
    await using reader = await home.openReader();
    await command.recordToken({ token: { id: 'made', expiresAt: 2_000_000_000n }, audit: note('token-make') });
    const use = { token: { id: 'made', expiresAt: 2_000_000_000n, recorded: true }, audit: note('token-use') };
    expect(await server.consumeToken(use)).toMatchObject({ accepted: true });
    expect(await command.consumeToken(use)).toMatchObject({ refusal: 'token-used' });
    await server.recordIntent(intent(5n));
    expect(await command.recordIntent(intent(5n))).toMatchObject({ refusal: 'serial-exists' });
    expect((await reader.certificate(5n))?.state).toBe('intended');
  });
}

function backupContract(makeHome: MakeHome): void {
  test('backs up one consistent state while others write', async () => {
    await using home = await makeHome();
    await using store = await home.open();
    const done = new AbortController();
    const writers = [1n, 10_001n].map(async (first) => {
      for (let serial = first; !done.signal.aborted; serial += 1n) {
        await store.recordIntent(intent(serial));
        await store.recordResult(result(serial));
      }
    });
    await store.recordIntent(intent(5_000n));
    await store.recordResult(result(5_000n));
    const path = home.newPath('backup');
    await store.backup(path);
    done.abort();
    await Promise.all(writers);
    await using copy = await home.openCopy(path);
    const { certificates, auditEntries } = await copy.counts();
    expect(certificates.host.intended * 1n + certificates.host.issued * 2n).toBe(auditEntries);
    expect(auditEntries).toBeGreaterThanOrEqual(2n);
    expect(await verifyStoredAudit(copy)).toMatchObject({ ok: true, entries: auditEntries });
    expect((await copy.certificate(5_000n))?.certificate).toEqual(certificate(5_000n));
  });

  test('overwrites no file', async () => {
    await using home = await makeHome();
    await using store = await home.open();
    const path = home.newPath('backup');
    await store.backup(path);
    await expect(store.backup(path)).rejects.toMatchObject({ code: 'backup-exists' });
  });
}
