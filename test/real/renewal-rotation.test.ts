/** A rotation of the host CA key, step by step (docs/rotation.md): nobody is left behind, and nothing is believed that was retired. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { decodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey } from '#openssh/public-key.ts';
import { decodeSshsig, verifySshsig } from '#openssh/sshsig.ts';
import { TRUST_NAMESPACE, type TrustDocument } from '#protocol/trust.ts';
import { CA_NAME, ClockCa, PASSPHRASE } from '../simulator/devices/clock-ca.ts';
import { makeHostKey, sshpopToken, statusRequest } from '../support/sshpop-client.ts';

const program = join(import.meta.dirname, '../../ca-lite/main.ts');
const caOf = (blob: Uint8Array) => fingerprintOf(encodePublicKey(decodeCertificate(blob).signatureKey));

test('start, switch and retire, each when the hosts are ready', { timeout: 300_000 }, async () => {
  await using ca = await ClockCa.make();
  const directory = await mkdtemp(join(tmpdir(), 'countersign-rotation-'));
  const passphraseFile = join(directory, 'passphrase');
  await writeFile(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  const rotate = async (step: string, ...args: readonly string[]) =>
    execa(process.execPath, [program, 'rotate', '--dir', ca.directory, step, ...args], {
      reject: false,
      stdin: 'ignore',
    });
  const trust = async () => {
    const { body } = await ca.get('/ssh/trust');
    const payload = decodeBase64(String(body['payload']));
    const signatures = (body['signatures'] as string[]).map((text) => decodeSshsig(decodeBase64(text)));
    for (const signature of signatures) expect(verifySshsig(signature, payload, TRUST_NAMESPACE)).toBe(true);
    const signers = signatures.map(({ certificate }) => caOf(certificate?.blob ?? new Uint8Array()));
    return { document: JSON.parse(Buffer.from(payload).toString()) as TrustDocument, signers };
  };
  const key = makeHostKey();
  let certificate = await ca.certify(key, 'web1.example.com');
  const report = async (trustedHostCas: string[]) =>
    ca.post('/ssh/status', statusRequest({ key, certificate, authority: CA_NAME, now: ca.now }, { trustedHostCas }));
  const first = caOf(certificate);

  expect(await rotate('switch', '--type', 'host')).toMatchObject({ exitCode: 1 });
  const started = await rotate('start', '--type', 'host', '--passphrase-file', passphraseFile, '--json');
  expect(started.stderr).toBe('');
  const { fingerprint: next } = JSON.parse(started.stdout) as { fingerprint: string };
  await ca.restart();
  const published = await trust();
  expect(published.document.hostCas.map(({ fingerprint, state }) => [fingerprint, state])).toEqual([
    [first, 'current'],
    [next, 'next'],
  ]);
  expect((await ca.get('/ssh/roots')).body['hostKey']).toHaveLength(2);
  expect(caOf(await ca.certify(makeHostKey(), 'other.example.com'))).toBe(first);
  await ca.store.revoke({
    target: { kind: 'host', name: 'other.example.com' },
    reason: 'not part of this',
    now: ca.now,
    revokedBy: 'test',
    token: null,
    audit: { time: ca.now, action: 'revoke', subject: {} },
  });

  await report([first]);
  expect((await rotate('switch', '--type', 'host')).stderr).toContain('1 live hosts');
  expect((await rotate('status')).stdout).toContain('web1.example.com');
  await report([first, next]);
  expect(await rotate('switch', '--type', 'host')).toMatchObject({ exitCode: 0 });
  await ca.restart();
  const switched = await trust();
  expect(switched.document.number).toBeGreaterThan(published.document.number);
  expect(switched.document.hostCas.map(({ fingerprint, state }) => [fingerprint, state])).toEqual([
    [next, 'current'],
    [first, 'old'],
  ]);
  expect(switched.signers).toEqual([next, first]);

  expect((await report([first, next])).body).toMatchObject({ renewNow: true });
  expect((await rotate('retire', '--type', 'host')).stderr).toContain('1 valid certificates');
  const ott = sshpopToken({ key, certificate, operation: 'renew', authority: CA_NAME, now: ca.now });
  certificate = decodeBase64(String((await ca.post('/ssh/renew', { ott })).body['crt']));
  expect(caOf(certificate)).toBe(next);
  expect((await report([first, next])).body).toMatchObject({ acknowledged: true, renewNow: false });
  expect(await rotate('retire', '--type', 'host')).toMatchObject({ exitCode: 0 });
  await ca.restart();
  expect((await trust()).document.hostCas.map(({ fingerprint }) => fingerprint)).toEqual([next]);
  expect((await trust()).signers).toEqual([next]);
  expect((await report([next])).body).toMatchObject({ acknowledged: false });
  await rm(directory, { recursive: true, force: true });
});
