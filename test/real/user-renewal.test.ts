/** User certificates that renew by their own key (docs/oidc.md), through the CA's HTTP server with its clock in the test's hand. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { decodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate, verifyCertificateSignature } from '#openssh/certificate.ts';
import { SIGN_IN_CODES } from '#protocol/renewal.ts';
import { type Answer, CA_NAME, ClockCa, type Settings } from '../simulator/devices/clock-ca.ts';
import {
  type HostKey as UserKey,
  type TokenParts,
  makeHostKey as makeKey,
  sshpopToken,
  statusRequest,
} from '../support/sshpop-client.ts';

const HOUR = 3600n;
const DAY = 24n * HOUR;
let ca: ClockCa;
beforeAll(async () => {
  ca = await ClockCa.make({
    certificates: { user_principals: ['alice', 'postgres'], user_lifetime: '16h' },
    renewal: { users_for: '5d', users_times: 3 },
  });
});
afterAll(async () => ca?.[Symbol.asyncDispose]());

/** Settings for one test alone. */
async function withSettings(settings: Settings, action: () => Promise<void>): Promise<void> {
  const before = await ca.settings();
  await ca.set(settings);
  await ca.restart();
  try {
    await action();
  } finally {
    await ca.writeSettings(before);
    await ca.restart();
  }
}

const withoutPolicy = async (action: () => Promise<void>): Promise<void> => {
  const text = await ca.settings();
  await ca.writeSettings(text.replace(/^users_for.*\n/gm, ''));
  await ca.restart();
  try {
    await action();
  } finally {
    await ca.writeSettings(text);
    await ca.restart();
  }
};

let users = 0;
async function admitted(principals: readonly string[] = ['alice'], id = `user${(users += 1)}@example.com`) {
  const key = makeKey();
  const certificate = await ca.certifyOrRefuse(key, id, principals, 'user');
  if (typeof certificate === 'string') throw new Error(certificate);
  return { key, id, certificate };
}

const tokenOf = (key: UserKey, certificate: Uint8Array, changes: Partial<TokenParts> = {}) =>
  sshpopToken({ key, certificate, operation: 'renew', authority: CA_NAME, now: ca.now, ...changes });
const renew = async (key: UserKey, certificate: Uint8Array) =>
  ca.post('/ssh/renew', { ott: tokenOf(key, certificate) });
const certificateIn = (answer: Answer): Uint8Array => {
  expect(answer.code, String(answer.body['message'])).toBe('ok');
  expect(answer.status).toBe(201);
  return decodeBase64(String(answer.body['crt']));
};
const serialOf = (certificate: Uint8Array): bigint => decodeCertificate(certificate).serial;

const grant = async (kind: 'user' | 'serial' | 'lineage', value: string, uses = 1) =>
  ca.store.makeGrant({
    kind,
    value,
    uses,
    expiresAt: ca.now + DAY,
    now: ca.now,
    createdBy: 'the admin',
    audit: { time: ca.now, action: 'grant-make', subject: { actor: 'the admin' } },
  });

describe('by policy', () => {
  test('is off by default: nothing renews, and the refusal names what helps', async () => {
    const { key, id, certificate } = await admitted();
    await withoutPolicy(async () => {
      const answer = await renew(key, certificate);
      expect(answer.code).toBe('sign-in-needed');
      expect(SIGN_IN_CODES).toContain(answer.code);
      expect(answer.body['message']).toContain(`countersign-ca grant --user ${id} --for 24h`);
    });
  });

  test('gives the same key, ID, principals and options anew, and says what is left', async () => {
    const { key, id, certificate } = await admitted(['alice', 'postgres']);
    const signedInAt = ca.now;
    ca.now += 11n * HOUR;
    const answer = await renew(key, certificate);
    const renewed = decodeCertificate(certificateIn(answer));
    expect(verifyCertificateSignature(renewed)).toBe(true);
    const { extensions, criticalOptions } = decodeCertificate(certificate);
    const expected = { type: 'user', keyId: id, principals: ['alice', 'postgres'], extensions, criticalOptions };
    expect(renewed).toMatchObject(expected);
    expect(renewed.key).toEqual(key.publicKey);
    expect(renewed.validBefore).toBe(ca.now + 16n * HOUR);
    expect(answer.body['signIn']).toEqual({ renewableUntil: Number(signedInAt + 5n * DAY), renewalsLeft: 2 });
    const record = await ca.store.certificate(renewed.serial);
    expect(record).toMatchObject({ predecessor: serialOf(certificate), identity: id, provisioner: 'sshpop' });
    const [entry] = (await ca.store.audit({ action: 'certificate-renew' }, { limit: 1 })).items;
    expect(entry).toMatchObject({ outcome: 'allowed', subject: { type: 'user', name: id } });
  });

  test('a lost answer costs nothing: the same certificate comes again, also with twenty requests at once', async () => {
    const { key, certificate } = await admitted();
    const answers = await Promise.all(Array.from({ length: 20 }, async () => renew(key, certificate)));
    const serials = new Set(answers.map((answer) => serialOf(certificateIn(answer))));
    expect(serials.size).toBe(1);
    await ca.restart();
    const again = await renew(key, certificate);
    expect(serialOf(certificateIn(again))).toBe([...serials][0]);
    expect(again.body['signIn']).toMatchObject({ renewalsLeft: 2 });
  });

  test('ends with the number of renewals', async () => {
    const made = await admitted();
    let { certificate } = made;
    for (const left of [2, 1, 0]) {
      ca.now += 11n * HOUR;
      const answer = await renew(made.key, certificate);
      certificate = certificateIn(answer);
      expect(answer.body['signIn']).toMatchObject({ renewalsLeft: left });
    }
    ca.now += 11n * HOUR;
    expect((await renew(made.key, certificate)).code).toBe('sign-in-needed');
  });

  test('ends with the age of the sign-in, and no certificate outlives it', async () => {
    await withSettings({ renewal: { users_times: 100 } }, async () => {
      const made = await admitted();
      const until = ca.now + 5n * DAY;
      let { certificate } = made;
      for (let n = 0; n < 10; n++) {
        ca.now += 11n * HOUR;
        certificate = certificateIn(await renew(made.key, certificate));
        expect(decodeCertificate(certificate).validBefore).toBeLessThanOrEqual(until);
      }
      expect(decodeCertificate(certificate).validBefore).toBe(until);
      ca.now += HOUR;
      expect((await renew(made.key, certificate)).code).toBe('sign-in-needed');
      ca.now = until;
      expect((await renew(made.key, certificate)).code).toBe('renewal-expired');
    });
  });

  test('gives the login names of today, and nothing when none is left', async () => {
    const { key, certificate } = await admitted(['alice', 'postgres']);
    await withSettings({ certificates: { user_principals: ['alice'] } }, async () => {
      expect(decodeCertificate(certificateIn(await renew(key, certificate))).principals).toEqual(['alice']);
    });
    await withSettings({ certificates: { user_principals: ['other'] } }, async () => {
      expect((await renew(key, certificate)).code).toBe('renewal-no-principals');
    });
    // What waits says something else than policy today: a new one is made.
    expect(decodeCertificate(certificateIn(await renew(key, certificate))).principals).toEqual(['alice', 'postgres']);
  });

  test('a token works once, for this certificate, this operation and this key alone', async () => {
    const [one, two] = [await admitted(), await admitted()];
    const ott = tokenOf(one.key, one.certificate);
    certificateIn(await ca.post('/ssh/renew', { ott }));
    expect((await ca.post('/ssh/renew', { ott })).code).toBe('token-used');
    expect((await renew(two.key, one.certificate)).code).toBe('token-invalid');
    const wrong = [{ operation: 'status' as const }, { claims: { sub: String(serialOf(two.certificate)) } }];
    for (const changes of wrong)
      expect((await ca.post('/ssh/renew', { ott: tokenOf(one.key, one.certificate, changes) })).status).toBe(401);
  });

  test('users neither rekey nor report', async () => {
    const { key, certificate } = await admitted();
    const report = statusRequest({ key, certificate, authority: CA_NAME, now: ca.now });
    expect((await ca.post('/ssh/status', report)).code).toBe('token-invalid');
    const ott = tokenOf(key, certificate, { operation: 'rekey' });
    expect((await ca.post('/ssh/rekey', { ott, publicKey: makeKey().blob })).code).toBe('token-invalid');
  });

  test('withdraws an intent whose signature failed, without counting it', async () => {
    const { key, certificate } = await admitted();
    vi.spyOn(ca.context.signers.user, 'sign').mockRejectedValueOnce(new Error('no signature today'));
    expect((await renew(key, certificate)).status).toBe(500);
    expect((await renew(key, certificate)).body['signIn']).toMatchObject({ renewalsLeft: 2 });
  });
});

describe('back from a sabbatical', () => {
  test('an expired certificate renews once under a grant for the user', async () => {
    const { key, id, certificate } = await admitted();
    ca.now += 200n * DAY;
    const refused = await renew(key, certificate);
    expect(refused.code).toBe('renewal-expired');
    expect(refused.body['message']).toContain(`countersign-ca grant --user ${id} --for 24h`);
    const { grant: number } = await grant('user', id);
    const other = await admitted();
    ca.now += 17n * HOUR;
    expect((await renew(other.key, other.certificate)).code).toBe('renewal-expired');
    const answers = await Promise.all(Array.from({ length: 10 }, async () => renew(key, certificate)));
    expect(new Set(answers.map((answer) => serialOf(certificateIn(answer)))).size).toBe(1);
    expect(answers[0]?.body['signIn']).toBeUndefined();
    expect((await ca.store.grants(undefined, { limit: 1 })).items[0]).toMatchObject({ grant: number, usesLeft: 0 });
    const entries = (await ca.store.audit({ action: 'certificate-renew' }, { limit: 20 })).items;
    expect(entries.some(({ code }) => code === `grant-${number}`)).toBe(true);
    const renewed = certificateIn(answers[0] as Answer);
    expect(decodeCertificate(renewed).validBefore).toBe(ca.now + 16n * HOUR);
    ca.now += 17n * HOUR;
    expect((await renew(key, renewed)).code).toBe('renewal-expired');
  });

  test.each(['serial', 'lineage'] as const)('a grant by %s does as well, also where policy is off', async (kind) => {
    const { key, certificate } = await admitted();
    ca.now += 200n * DAY;
    await withoutPolicy(async () => {
      const session = (await ca.store.certificate(serialOf(certificate)))?.lineage ?? '';
      await grant(kind, kind === 'serial' ? String(serialOf(certificate)) : session);
      expect(decodeCertificate(certificateIn(await renew(key, certificate))).principals).toEqual(['alice']);
    });
  });

  test('one use for three people who come at once renews one certificate', async () => {
    const same = 'team@example.com';
    const people = [await admitted(['alice'], same), await admitted(['alice'], same), await admitted(['alice'], same)];
    ca.now += 200n * DAY;
    await grant('user', same);
    const answers = await Promise.all(people.map(async ({ key, certificate }) => renew(key, certificate)));
    expect(answers.map(({ code }) => code).toSorted()).toEqual(['ok', 'renewal-expired', 'renewal-expired']);
  });

  test('the use is given back when the certificate did not come', async () => {
    const { key, id, certificate } = await admitted();
    ca.now += 200n * DAY;
    await grant('user', id);
    vi.spyOn(ca.context.signers.user, 'sign').mockRejectedValueOnce(new Error('no signature today'));
    expect((await renew(key, certificate)).status).toBe(500);
    certificateIn(await renew(key, certificate));
  });
});

describe('revoked is revoked', () => {
  const revoke = async (target: Parameters<ClockCa['store']['revoke']>[0]['target']) =>
    ca.store.revoke({
      target,
      reason: '',
      now: ca.now,
      revokedBy: 'admin',
      token: null,
      audit: { time: ca.now, action: 'revoke', subject: {} },
    });

  test('a serial, with what was renewed from it, and the whole sign-in renews no more', async () => {
    const { key, id, certificate } = await admitted();
    const second = certificateIn(await renew(key, certificate));
    ca.now += 11n * HOUR;
    const third = certificateIn(await renew(key, second));
    expect(await revoke({ kind: 'serial', serial: serialOf(second) })).toMatchObject({
      accepted: true,
      certificates: 2,
    });
    await grant('user', id);
    for (const one of [certificate, second, third]) expect((await renew(key, one)).code).toBe('renewal-revoked');
    ca.now += 300n * DAY;
    expect((await renew(key, certificate)).code).toBe('renewal-revoked');
  });

  test('a user, also one whose certificates have all expired', async () => {
    const { key, id, certificate } = await admitted();
    ca.now += 2n * DAY;
    expect(await revoke({ kind: 'user', keyId: id })).toMatchObject({ accepted: true, certificates: 0 });
    expect(await revoke({ kind: 'user', keyId: id })).toMatchObject({ refusal: 'already-revoked' });
    await grant('user', id);
    expect((await renew(key, certificate)).code).toBe('renewal-revoked');
  });

  test('a key', async () => {
    const { key, id, certificate } = await admitted();
    const keyFingerprint = (await ca.store.certificate(serialOf(certificate)))?.keyFingerprint ?? '';
    await revoke({ kind: 'key', keyFingerprint });
    await grant('user', id);
    expect((await renew(key, certificate)).code).toBe('renewal-revoked');
  });

  test('a certificate of a user revokes itself, and no other one', async () => {
    const [one, two] = [await admitted(), await admitted()];
    const ask = async (serial: bigint) =>
      ca.post('/ssh/revoke', {
        serial: String(serial),
        ott: tokenOf(one.key, one.certificate, { operation: 'revoke' }),
      });
    expect((await ask(serialOf(two.certificate))).code).toBe('not-your-certificate');
    expect((await ask(serialOf(one.certificate))).status).toBe(200);
    expect((await renew(one.key, one.certificate)).code).toBe('renewal-revoked');
    certificateIn(await renew(two.key, two.certificate));
  });
});
