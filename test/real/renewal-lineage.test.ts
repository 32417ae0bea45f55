/** Renewals and their lineage (docs/lineage.md) through the CA's own HTTP server, with the CA's clock in the test's hand. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate, verifyCertificateSignature } from '#openssh/certificate.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import { encodeSshsig, encodeSshsigToBeSigned } from '#openssh/sshsig.ts';
import { REKEY_PROOF_NAMESPACE } from '#protocol/renewal.ts';
import { type Answer, CA_NAME, ClockCa, type Settings } from '../simulator/devices/clock-ca.ts';
import {
  type HostKey,
  type HostKeyKind,
  type TokenParts,
  makeHostKey,
  sshpopToken,
  statusRequest,
} from '../support/sshpop-client.ts';

const DAY = 86_400n;
/** One for the whole file: its clock only goes forward, and each test has hosts of its own. */
let ca: ClockCa;
beforeAll(async () => {
  ca = await ClockCa.make();
});
afterAll(async () => ca[Symbol.asyncDispose]());

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

let hosts = 0;
const nextName = () => `web${(hosts += 1)}.example.com`;

const tokenOf = (key: HostKey, certificate: Uint8Array, changes: Partial<TokenParts> = {}) =>
  sshpopToken({ key, certificate, operation: 'renew', authority: CA_NAME, now: ca.now, ...changes });
const renew = async (key: HostKey, certificate: Uint8Array, changes: Partial<TokenParts> = {}, from?: string) =>
  ca.post('/ssh/renew', { ott: tokenOf(key, certificate, changes) }, from);
const report = async (key: HostKey, certificate: Uint8Array, from?: string) =>
  ca.post('/ssh/status', statusRequest({ key, certificate, authority: CA_NAME, now: ca.now }), from);
const certificateIn = (answer: Answer) => {
  expect(answer.code, String(answer.body['message'])).toBe('ok');
  expect(answer.status).toBe(201);
  return decodeBase64(String(answer.body['crt']));
};
const serialOf = (certificate: Uint8Array) => decodeCertificate(certificate).serial;

async function enrolled(kind: HostKeyKind = 'ed25519', name = nextName()) {
  const key = makeHostKey(kind);
  return { key, name, certificate: await ca.certify(key, name) };
}

describe('renewal', () => {
  test.each<HostKeyKind>(['ed25519', 'p256', 'p384', 'p521', 'rsa'])(
    'renews the certificate of a key %s',
    async (kind) => {
      const { key, name, certificate } = await enrolled(kind);
      ca.now += 20n * DAY;
      const renewed = decodeCertificate(certificateIn(await renew(key, certificate)));
      expect(verifyCertificateSignature(renewed)).toBe(true);
      expect(renewed).toMatchObject({ type: 'host', keyId: name, principals: [name] });
      expect(renewed.key).toEqual(key.publicKey);
      expect(renewed.validBefore - ca.now).toBe(30n * DAY);
      expect(renewed.serial).not.toBe(serialOf(certificate));
      const record = await ca.store.certificate(renewed.serial);
      expect(record).toMatchObject({ predecessor: serialOf(certificate), provisioner: 'sshpop' });
      expect(record?.lineage).toBe((await ca.store.certificate(serialOf(certificate)))?.lineage);
    },
  );

  test('gives the same successor again, until that was seen in use', async () => {
    const { key, certificate } = await enrolled();
    const first = certificateIn(await renew(key, certificate));
    const answers = await Promise.all(Array.from({ length: 20 }, async () => renew(key, certificate)));
    for (const answer of answers) expect(certificateIn(answer)).toEqual(first);
    await ca.restart();
    expect(certificateIn(await renew(key, certificate))).toEqual(first);
    expect((await report(key, first)).body).toMatchObject({ acknowledged: true });
    expect((await report(key, first)).body).toMatchObject({ acknowledged: false });
    expect((await renew(key, certificate)).code).toBe('not-lineage-head');
    expect(certificateIn(await renew(key, first))).not.toEqual(first);
  });

  test('of twenty requests at once one is signed, and all get it', async () => {
    const { key, certificate } = await enrolled();
    const answers = await Promise.all(Array.from({ length: 20 }, async () => renew(key, certificate)));
    const serials = new Set(answers.map((answer) => serialOf(certificateIn(answer))));
    expect(serials.size).toBe(1);
    const { items } = await ca.store.certificates(
      { keyFingerprint: (await ca.store.certificate([...serials][0] ?? 0n))?.keyFingerprint },
      { limit: 10 },
    );
    expect(items).toHaveLength(2);
  });

  test('a token works once, and a refused one is not spent', async () => {
    const { key, certificate } = await enrolled();
    const ott = tokenOf(key, certificate);
    certificateIn(await ca.post('/ssh/renew', { ott }));
    expect((await ca.post('/ssh/renew', { ott })).code).toBe('token-used');
  });

  test('decides principals by the policy of today, and refuses when none is left', async () => {
    const key = makeHostKey();
    const certificate = await ca.certify(key, 'app.example.com', ['app.example.com', 'www.example.com']);
    let renewed = certificate;
    await withSettings({ enrolment: { names: ['app.example.com'] } }, async () => {
      renewed = certificateIn(await renew(key, certificate));
      expect(decodeCertificate(renewed).principals).toEqual(['app.example.com']);
      await report(key, renewed);
    });
    await withSettings({ enrolment: { names: ['other.example.com'] } }, async () => {
      expect((await renew(key, renewed)).code).toBe('renewal-no-principals');
    });
    const back = decodeCertificate(certificateIn(await renew(key, renewed)));
    expect(back.principals).toEqual(['app.example.com', 'www.example.com']);
  });

  test('knows no certificate that is not on record byte by byte', async () => {
    const { key, certificate } = await enrolled();
    await using other = await ClockCa.make();
    other.now = ca.now;
    const foreign = await other.certify(key, 'foreign.example.com');
    expect((await renew(key, foreign)).code).toBe('certificate-unknown');
    const tampered = Uint8Array.from(certificate);
    tampered[tampered.length - 1] = (tampered.at(-1) ?? 0) ^ 1;
    expect((await renew(key, tampered)).code).toBe('token-invalid');
  });

  test('withdraws an intent whose signature failed, and renews at the next request', async () => {
    const { key, certificate } = await enrolled();
    const signer = ca.context.signers.host;
    const sign = signer.sign.bind(signer);
    signer.sign = async () => Promise.reject(new Error('no signature today'));
    expect((await renew(key, certificate)).status).toBe(500);
    signer.sign = sign;
    certificateIn(await renew(key, certificate));
  });
});

describe('after expiry', () => {
  test('only by leave, and the refusal names the command', async () => {
    const { key, certificate } = await enrolled();
    ca.now += 300n * DAY;
    const answer = await renew(key, certificate);
    expect(answer.code).toBe('renewal-expired');
    const lineage = (await ca.store.certificate(serialOf(certificate)))?.lineage ?? '';
    expect(answer.body['message']).toContain(`countersign-ca grant --lineage ${lineage} --for 24h`);
  });

  test('policy can allow it, up to an age', async () => {
    await withSettings({ renewal: { allow_after_expiry: true, max_age: '100d' } }, async () => {
      const [one, two] = [await enrolled(), await enrolled()];
      ca.now += 120n * DAY;
      certificateIn(await renew(one.key, one.certificate));
      ca.now += 20n * DAY;
      expect((await renew(two.key, two.certificate)).code).toBe('renewal-expired');
    });
  });

  const grant = async (kind: 'host' | 'serial' | 'lineage' | 'user', value: string, uses = 1, hours = 24n) =>
    ca.store.makeGrant({
      kind,
      value,
      uses,
      expiresAt: ca.now + hours * 3600n,
      now: ca.now,
      createdBy: 'the admin',
      audit: { time: ca.now, action: 'grant-make', subject: { actor: 'the admin' } },
    });

  test.each(['host', 'serial', 'lineage'] as const)(
    'a grant by %s counts its uses, also with all at once',
    async (kind) => {
      const { key, name, certificate } = await enrolled();
      const other = await enrolled();
      ca.now += 300n * DAY;
      const record = await ca.store.certificate(serialOf(certificate));
      const values = {
        host: name,
        serial: String(serialOf(certificate)),
        lineage: record?.lineage ?? '',
      };
      const { grant: id } = await grant(kind, values[kind]);
      expect((await renew(other.key, other.certificate)).code).toBe('renewal-expired');
      const answers = await Promise.all(Array.from({ length: 10 }, async () => renew(key, certificate)));
      const serials = new Set(answers.map((answer) => serialOf(certificateIn(answer))));
      expect(serials.size).toBe(1);
      expect((await ca.store.grants(undefined, { limit: 10 })).items[0]).toMatchObject({ uses: 1, usesLeft: 0 });
      expect(
        (await ca.store.audit({ action: 'certificate-renew' }, { limit: 50 })).items.some(
          ({ code }) => code === `grant-${id}`,
        ),
      ).toBe(true);
      ca.now += 300n * DAY;
      expect((await renew(key, certificate)).code).toBe('renewal-expired');
    },
  );

  test('one use for ten hosts at once renews one of them', async () => {
    const hosts = await Promise.all(
      Array.from({ length: 10 }, async () => ({ key: makeHostKey() })).map(async (made) => {
        const { key } = await made;
        return { key, certificate: await ca.certify(key, 'pool.example.com') };
      }),
    );
    ca.now += 300n * DAY;
    await grant('host', 'pool.example.com', 3);
    const answers = await Promise.all(hosts.map(async ({ key, certificate }) => renew(key, certificate)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    expect(answers.filter(({ code }) => code === 'renewal-expired')).toHaveLength(7);
  });

  test('a grant ends with its time, or by an administrator', async () => {
    const { key, name, certificate } = await enrolled();
    ca.now += 300n * DAY;
    await grant('host', name, 1, 1n);
    ca.now += 3601n;
    expect((await renew(key, certificate)).code).toBe('renewal-expired');
    const { grant: id } = await grant('host', name);
    const end = { grant: id, now: ca.now, endedBy: 'admin', audit: { time: ca.now, action: 'grant-end', subject: {} } };
    expect(await ca.store.endGrant(end)).toMatchObject({ accepted: true });
    expect(await ca.store.endGrant(end)).toMatchObject({ refusal: 'grant-over' });
    expect(await ca.store.endGrant({ ...end, grant: 99n })).toMatchObject({ refusal: 'grant-unknown' });
    expect((await renew(key, certificate)).code).toBe('renewal-expired');
  });

  test('gives the use back when the certificate did not come', async () => {
    const { key, name, certificate } = await enrolled();
    ca.now += 300n * DAY;
    await grant('host', name);
    const signer = ca.context.signers.host;
    const sign = signer.sign.bind(signer);
    signer.sign = async () => Promise.reject(new Error('no signature today'));
    expect((await renew(key, certificate)).status).toBe(500);
    signer.sign = sign;
    certificateIn(await renew(key, certificate));
  });

  test('neither policy nor grant revives what is revoked', async () => {
    const { key, name, certificate } = await enrolled();
    await ca.store.revoke({
      target: { kind: 'host', name },
      reason: '',
      now: ca.now,
      revokedBy: 'admin',
      token: null,
      audit: { time: ca.now, action: 'revoke', subject: {} },
    });
    ca.now += 300n * DAY;
    await grant('host', name);
    await withSettings({ renewal: { allow_after_expiry: true } }, async () => {
      expect((await renew(key, certificate)).code).toBe('renewal-revoked');
    });
  });
});

describe('a copy', () => {
  test('is found when it shows up after the successor was in use; only its own lineage stops', async () => {
    const { key, name, certificate } = await enrolled();
    const other = await enrolled();
    const renewed = certificateIn(await renew(key, certificate, {}, '10.1.1.1'));
    await report(key, renewed, '10.1.1.1');
    ca.now += 301n;
    expect((await renew(key, certificate, {}, '10.6.6.6')).code).toBe('lineage-quarantined');
    expect((await renew(key, renewed, {}, '10.1.1.1')).code).toBe('lineage-quarantined');
    expect((await report(key, renewed, '10.1.1.1')).code).toBe('lineage-quarantined');
    certificateIn(await renew(other.key, other.certificate));
    const lineage = (await ca.store.certificate(serialOf(renewed)))?.lineage ?? '';
    expect(await ca.store.lineage(lineage)).toMatchObject({ state: 'quarantined', head: serialOf(renewed) });
    expect((await ca.store.lineages({ state: 'quarantined' }, { limit: 10 })).items[0]?.lineage).toBe(lineage);
    const sightings = await ca.store.sightings(lineage);
    expect(sightings).toMatchObject([
      { serial: serialOf(renewed), requester: '10.1.1.1', times: 3n },
      { serial: serialOf(certificate), requester: '10.6.6.6', times: 1n },
    ]);
    expect(await ca.certifyOrRefuse(key, name)).toBe('lineage-quarantined');
  });

  test('a report of the predecessor finds it as well', async () => {
    const { key, certificate } = await enrolled();
    const renewed = certificateIn(await renew(key, certificate));
    certificateIn(await renew(key, renewed));
    ca.now += 301n;
    expect((await report(key, certificate)).code).toBe('lineage-quarantined');
  });

  test('is not what a late request or another process of the host looks like', async () => {
    const { key, certificate } = await enrolled();
    const renewed = certificateIn(await renew(key, certificate));
    ca.now += 30n;
    const late = tokenOf(key, certificate, { claims: { exp: Number(ca.now) + 500 } });
    ca.now += 1n;
    await report(key, renewed);
    ca.now += 100n;
    expect((await renew(key, certificate)).code).toBe('not-lineage-head');
    ca.now += 250n;
    expect((await ca.post('/ssh/renew', { ott: late })).code).toBe('not-lineage-head');
    certificateIn(await renew(key, renewed));
  });

  test('both sides of a successor that both fetched part at the next renewal', async () => {
    const { key, certificate } = await enrolled();
    const one = certificateIn(await renew(key, certificate));
    const two = certificateIn(await renew(key, certificate));
    expect(two).toEqual(one);
    const next = certificateIn(await renew(key, one));
    await report(key, next);
    ca.now += 301n;
    expect((await renew(key, two, {}, '10.6.6.6')).code).toBe('lineage-quarantined');
  });

  const resolve = async (lineage: string, keep: bigint | null) =>
    ca.store.resolveLineage({
      lineage,
      keep,
      now: ca.now,
      audit: { time: ca.now, action: 'lineage-resolve', subject: { actor: 'admin' } },
    });

  async function quarantined() {
    const { key, certificate } = await enrolled();
    const renewed = certificateIn(await renew(key, certificate));
    await report(key, renewed);
    ca.now += 301n;
    expect((await renew(key, certificate)).code).toBe('lineage-quarantined');
    const lineage = (await ca.store.certificate(serialOf(renewed)))?.lineage ?? '';
    return { key, certificate, renewed, lineage };
  }

  test('one action keeps the new one, and the copy is told so without harm to the host', async () => {
    const { key, certificate, renewed, lineage } = await quarantined();
    expect(await resolve('0000', null)).toMatchObject({ refusal: 'lineage-unknown' });
    expect(await resolve(lineage, 5n)).toMatchObject({ refusal: 'serial-not-in-lineage' });
    const { number } = await ca.store.krlState();
    expect(await resolve(lineage, serialOf(renewed))).toMatchObject({ accepted: true });
    expect(await resolve(lineage, serialOf(renewed))).toMatchObject({ refusal: 'lineage-not-quarantined' });
    ca.now += 1000n;
    expect((await renew(key, certificate)).code).toBe('renewal-revoked');
    const next = certificateIn(await renew(key, renewed));
    await report(key, next);
    expect((await ca.store.krlState()).number).toBe(number + 1n);
  });

  test('one action keeps the old one, and what came after it is revoked', async () => {
    const { key, certificate, renewed, lineage } = await quarantined();
    expect(await resolve(lineage, serialOf(certificate))).toMatchObject({ accepted: true });
    ca.now += 1000n;
    expect((await renew(key, renewed)).code).toBe('renewal-revoked');
    const next = certificateIn(await renew(key, certificate));
    await report(key, next);
    certificateIn(await renew(key, next));
  });

  test('one action revokes both', async () => {
    const { key, certificate, renewed, lineage } = await quarantined();
    expect(await resolve(lineage, null)).toMatchObject({ accepted: true });
    for (const one of [certificate, renewed]) expect((await renew(key, one)).code).toBe('renewal-revoked');
  });

  test('a new token for the same key and name joins its lineage, so a copy of the old certificate is still found', async () => {
    const { key, name, certificate } = await enrolled();
    const again = await ca.certify(key, name);
    await report(key, again);
    ca.now += 301n;
    expect((await renew(key, certificate)).code).toBe('lineage-quarantined');
  });
});

describe('rekey and revocation by the host itself', () => {
  const rekey = async (key: HostKey, certificate: Uint8Array, next: HostKey) =>
    ca.post('/ssh/rekey', { ott: tokenOf(key, certificate, { operation: 'rekey' }), publicKey: next.blob });
  const revoke = async (key: HostKey, certificate: Uint8Array, serial = serialOf(certificate)) =>
    ca.post('/ssh/revoke', {
      serial: String(serial),
      ott: tokenOf(key, certificate, { operation: 'revoke' }),
      passive: true,
    });

  test('goes on with another key, of which the old one is the predecessor', async () => {
    const { key, certificate } = await enrolled();
    const next = makeHostKey('p256');
    const rekeyed = certificateIn(await rekey(key, certificate, next));
    expect(decodeCertificate(rekeyed).key).toEqual(next.publicKey);
    await report(next, rekeyed);
    certificateIn(await renew(next, rekeyed));
    ca.now += 301n;
    expect((await renew(key, certificate)).code).toBe('lineage-quarantined');
  });

  test('a lost answer to a rekey leaves the old certificate good, whichever new key then comes', async () => {
    const { key, certificate } = await enrolled();
    const [lost, next] = [makeHostKey(), makeHostKey()];
    certificateIn(await rekey(key, certificate, lost));
    const rekeyed = certificateIn(await rekey(key, certificate, next));
    certificateIn(await renew(key, certificate));
    await report(next, rekeyed);
    expect(decodeCertificate(certificateIn(await renew(next, rekeyed))).key).toEqual(next.publicKey);
  });

  /** As the new key signs the token; each part of it open to change. */
  const proofBy = (next: HostKey, ott: string, namespace = REKEY_PROOF_NAMESPACE): string => {
    const keyBlob = decodeBase64(next.blob);
    const signature = signWithKeyObject(
      next.privateKey,
      'ssh-ed25519',
      encodeSshsigToBeSigned(Buffer.from(ott), namespace),
    );
    return encodeBase64(encodeSshsig({ keyBlob, namespace, signature }));
  };

  test('possession of a certificate gives no power over another one', async () => {
    const [one, two] = [await enrolled(), await enrolled()];
    const next = makeHostKey();
    const ask = async (key: HostKey, certificate: Uint8Array, changes: Partial<TokenParts> = {}) =>
      (
        await ca.post('/ssh/rekey', {
          ott: tokenOf(key, certificate, { operation: 'rekey', ...changes }),
          publicKey: next.blob,
        })
      ).code;
    // Its own key for the certificate of another; its own certificate for the serial of another; the token of another operation.
    expect(await ask(one.key, two.certificate)).toBe('token-invalid');
    expect(await ask(one.key, one.certificate, { claims: { sub: String(serialOf(two.certificate)) } })).toBe(
      'token-invalid',
    );
    expect(await ask(one.key, one.certificate, { operation: 'renew' })).toBe('token-wrong-audience');
    // For the key of another host: the certificate says what its own host is called, and the other one's lineage does not move.
    const answer = await rekey(one.key, one.certificate, two.key);
    expect(decodeCertificate(certificateIn(answer))).toMatchObject({ keyId: one.name, principals: [one.name] });
    certificateIn(await renew(two.key, two.certificate));
    const lineage = (await ca.store.certificate(serialOf(two.certificate)))?.lineage ?? '';
    expect(await ca.store.lineage(lineage)).toMatchObject({ state: 'active', head: serialOf(two.certificate) });
    certificateIn(await renew(one.key, one.certificate));
  });

  test('a proof by the new key must be right where there is one, and there must be one where policy asks', async () => {
    const { key, certificate } = await enrolled();
    const [next, other] = [makeHostKey(), makeHostKey()];
    const ask = async (proofOf?: (ott: string) => string) => {
      const ott = tokenOf(key, certificate, { operation: 'rekey' });
      const proof = proofOf === undefined ? {} : { proof: proofOf(ott) };
      return ca.post('/ssh/rekey', { ott, publicKey: next.blob, ...proof });
    };
    const wrong = [
      (ott: string) => proofBy(other, ott),
      (ott: string) => proofBy(next, `${ott}x`),
      (ott: string) => proofBy(next, ott, 'host-proof@countersign'),
      () => proofBy(next, tokenOf(key, certificate, { operation: 'rekey' })),
      () => 'AAAA',
    ];
    for (const proofOf of wrong) expect((await ask(proofOf)).code).toBe('rekey-proof-invalid');
    await withSettings({ renewal: { require_rekey_proof: true } }, async () => {
      expect((await ask()).code).toBe('rekey-proof-invalid');
      for (const proofOf of wrong) expect((await ask(proofOf)).code).toBe('rekey-proof-invalid');
      const rekeyed = certificateIn(await ask((ott) => proofBy(next, ott)));
      expect(decodeCertificate(rekeyed).key).toEqual(next.publicKey);
      expect((await report(next, rekeyed)).body).toMatchObject({ acknowledged: true });
    });
    expect((await renew(key, certificate)).code).toBe('not-lineage-head');
  });

  test('an expired certificate gets no other key', async () => {
    const { key, certificate } = await enrolled();
    ca.now += 31n * DAY;
    expect((await rekey(key, certificate, makeHostKey())).code).toBe('certificate-expired');
    expect((await revoke(key, certificate)).code).toBe('certificate-expired');
  });

  test('a certificate revokes itself, with what would follow it, and no other one', async () => {
    const [one, two] = [await enrolled(), await enrolled()];
    expect((await revoke(one.key, one.certificate, serialOf(two.certificate))).code).toBe('not-your-certificate');
    const next = certificateIn(await renew(one.key, one.certificate));
    expect((await revoke(one.key, one.certificate)).status).toBe(200);
    expect((await revoke(one.key, one.certificate)).code).toBe('already-revoked');
    expect((await renew(one.key, one.certificate)).code).toBe('renewal-revoked');
    expect((await renew(one.key, next)).code).toBe('renewal-revoked');
    certificateIn(await renew(two.key, two.certificate));
  });
});
