/** The answer of step 5 is lost: the host finds its own certificate again, and nobody else gains anything (docs/enrolment-protocol.md). */
import { connect } from 'node:tls';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { publicKeyFromObject } from '#openssh/public-key.ts';
import { bodyOf, prove } from '#test/support/enrolment-client.ts';
import { makeHostKey, statusRequest } from '#test/support/sshpop-client.ts';
import { type HonestHost, type Stage, expectRefused, openStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(async () => stage?.[Symbol.asyncDispose]());

const serialsOf = async (keyFingerprint: string): Promise<bigint[]> =>
  (await stage.store.certificates({ keyFingerprint }, { limit: 10 })).items.map(({ serial }) => serial);

/** Sends step 5 and never reads the answer: the CA has issued, and nobody hears of it. */
async function signUnheard({ key }: HonestHost, token: string): Promise<bigint> {
  const { hostname, port } = new URL(stage.ca.url);
  const ca = await stage.ca.ca.rootPem();
  const body = JSON.stringify({ publicKey: encodeBase64(key.blob), ott: token });
  const head = `POST /ssh/sign HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  const socket = connect({ host: hostname, port: Number(port), ca });
  await once(socket, 'secureConnect');
  socket.pause().write(head + body);
  const issued = async () => {
    const { items } = await stage.store.certificates(
      { keyFingerprint: key.fingerprint, state: 'issued' },
      { limit: 2 },
    );
    expect(items).toHaveLength(1);
    return items[0]?.serial ?? 0n;
  };
  const serial = await vi.waitFor(issued, { timeout: 60_000, interval: 50 });
  socket.destroy();
  return serial;
}

async function proofOf({ claim, key }: HonestHost) {
  const challenge = bodyOf(await stage.client.challenge(claim));
  return { challenge, proof: prove(challenge, key) };
}

test('the same key under the same names finds its own certificate, and no second one is made', async () => {
  const host = await stage.addHost('lost1');
  const { challenge, proof } = await proofOf(host);
  await expectRefused(stage, 'certificate-unknown', async () => stage.client.certificate(challenge, proof));
  const { token, principals } = bodyOf(await stage.client.token(challenge, proof));
  await expectRefused(stage, 'certificate-unknown', async () => stage.client.certificate(challenge, proof));
  const serial = await signUnheard(host, token);

  await expectRefused(stage, 'token-used', async () => stage.client.sign(token, host.key.blob));
  const again = await proofOf(host);
  await expectRefused(stage, 'already-enrolled', async () => stage.client.token(again.challenge, again.proof));
  for (const { challenge: asked, proof: made } of [{ challenge, proof }, again, again]) {
    const found = bodyOf(await stage.client.certificate(asked, made));
    const certificate = decodeCertificate(decodeBase64(found.crt));
    expect(certificate).toMatchObject({ serial, principals });
    expect(certificate.key).toEqual(publicKeyFromObject(host.key.privateKey));
  }
  expect(await serialsOf(host.key.fingerprint)).toEqual([serial]);
  const [entry] = (await stage.store.audit({ action: 'certificate-retrieve' }, { limit: 1 })).items;
  expect(entry).toMatchObject({ outcome: 'allowed', code: 'same-certificate', subject: { serial, name: host.name } });
});

test('whoever stole the token, or the proof, gains nothing', async () => {
  const host = await stage.addHost('lost2');
  const { challenge, proof } = await proofOf(host);
  const { token } = bodyOf(await stage.client.token(challenge, proof));
  await signUnheard(host, token);
  await expectRefused(stage, 'token-used', async () => stage.client.sign(token, host.key.blob));
  const thief = await stage.addHost('thief2');
  const other = prove(challenge, thief.key);
  await expectRefused(stage, 'proof-wrong-key', async () => stage.client.certificate(challenge, other));
  const own = await proofOf(thief);
  await expectRefused(stage, 'certificate-unknown', async () => stage.client.certificate(own.challenge, own.proof));
  await expectRefused(stage, 'proof-wrong-key', async () => stage.client.certificate(own.challenge, proof));
});

test('a certificate that was seen in use, cleared or revoked is not given again', async () => {
  const host = await stage.addHost('lost3');
  const enrolled = await stage.client.enrol(host.claim, host.key);
  if (!('certificate' in enrolled)) throw new Error('refused');
  const { privateKey } = host.key;
  const publicKey = publicKeyFromObject(privateKey);
  const key = { ...makeHostKey(), privateKey, publicKey, blob: encodeBase64(host.key.blob) };
  const now = BigInt(Math.floor(Date.now() / 1000));
  const report = statusRequest({
    key,
    certificate: enrolled.certificate.blob,
    authority: new URL(stage.ca.url).host,
    now,
  });
  expect((await stage.client.request('POST', '/ssh/status', report)).status).toBe(200);
  const seen = await proofOf(host);
  await expectRefused(stage, 'already-enrolled', async () => stage.client.certificate(seen.challenge, seen.proof));

  const cleared = await stage.addHost('lost4');
  await stage.client.enrol(cleared.claim, cleared.key);
  await stage.ca.ca.run('hosts', 'clear', cleared.name);
  const afterwards = await proofOf(cleared);
  await expectRefused(stage, 'certificate-unknown', async () =>
    stage.client.certificate(afterwards.challenge, afterwards.proof),
  );

  const revoked = await stage.addHost('lost5');
  await stage.client.enrol(revoked.claim, revoked.key);
  await stage.ca.ca.run('revoke', '--host', revoked.name);
  const late = await proofOf(revoked);
  await expectRefused(stage, 'already-enrolled', async () => stage.client.certificate(late.challenge, late.proof));
});
