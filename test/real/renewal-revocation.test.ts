/** Revocation that arrives, judged by ssh-keygen; and what the CA says publicly: KRL, trust document, time. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Value } from 'typebox/value';
import { decodeBase64, encodeBase64 } from '#openssh/base64.ts';
import { decodeCertificate } from '#openssh/certificate.ts';
import { decodeKrl } from '#openssh/krl.ts';
import { isRevoked } from '#openssh/krl-check.ts';
import { fingerprintOf } from '#openssh/fingerprint.ts';
import { encodePublicKey, formatPublicKeyLine } from '#openssh/public-key.ts';
import { armorSshsig } from '#openssh/sshsig.ts';
import { TIME_NAMESPACE, TimeStatement } from '#protocol/signed-time.ts';
import { KRL_NAMESPACE, STATEMENT_PRINCIPAL, TRUST_NAMESPACE, TrustDocument } from '#protocol/trust.ts';
import { ClockCa } from '../simulator/devices/clock-ca.ts';
import { type HostKey, makeHostKey } from '../support/sshpop-client.ts';

let ca: ClockCa;
let directory: string;
beforeAll(async () => {
  ca = await ClockCa.make();
  directory = await mkdtemp(join(tmpdir(), 'countersign-krl-'));
});
afterAll(async () => {
  await ca[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

const certificateLine = (blob: Uint8Array) => {
  const length = new DataView(blob.buffer, blob.byteOffset).getUint32(0);
  return `${Buffer.from(blob.subarray(4, 4 + length)).toString()} ${encodeBase64(blob)}\n`;
};

/** What ssh-keygen -Q says of a key or certificate line. */
async function isRevokedForSsh(krl: Uint8Array, line: string): Promise<boolean> {
  const [krlFile, keyFile] = [await file('krl', krl), await file('subject.pub', line)];
  const { exitCode, stdout } = await execa('ssh-keygen', ['-Q', '-f', krlFile, keyFile], { reject: false });
  expect(stdout).toMatch(exitCode === 0 ? /: ok$/ : /: REVOKED$/);
  return exitCode !== 0;
}

/** Whether ssh-keygen -Y verify believes the signature with the host CA as cert-authority. */
async function isSignedByCa(message: Uint8Array, armored: string, namespace: string): Promise<boolean> {
  const hostCa = formatPublicKeyLine(ca.context.signers.host.publicKey);
  const signers = await file('signers', `${STATEMENT_PRINCIPAL} cert-authority,namespaces="${namespace}" ${hostCa}\n`);
  const signature = await file('signature', armored);
  const argv = ['-Y', 'verify', '-f', signers, '-I', STATEMENT_PRINCIPAL, '-n', namespace, '-s', signature];
  const { exitCode } = await execa('ssh-keygen', argv, { input: message, reject: false });
  return exitCode === 0;
}

const command = async (...args: readonly string[]) => {
  const [name = '', ...rest] = args;
  return execa(
    process.execPath,
    [join(import.meta.dirname, '../../ca-lite/main.ts'), name, '--dir', ca.directory, ...rest],
    {
      reject: false,
      stdin: 'ignore',
    },
  );
};
const serialOf = (blob: Uint8Array) => decodeCertificate(blob).serial;

describe('the KRL', () => {
  test('starts empty, and ssh-keygen reads it', async () => {
    const answer = await ca.get('/ssh/krl');
    expect(answer.headers['x-krl-number']).toBe('0');
    expect(await isRevokedForSsh(answer.raw, `${formatPublicKeyLine(makeHostKey().publicKey)}\n`)).toBe(false);
  });

  test('agrees with ssh-keygen on every entry, whatever was revoked by', async () => {
    const host = async (name: string): Promise<{ key: HostKey; blob: Uint8Array }> => {
      const key = makeHostKey();
      return { key, blob: await ca.certify(key, name) };
    };
    const [bySerial, byKey, byHost, spared] = [
      await host('serial.example.com'),
      await host('key.example.com'),
      await host('host.example.com'),
      await host('spared.example.com'),
    ];
    const keyFile = await file('key.pub', certificateLine(byKey.blob));
    const revocations = [
      ['--serial', String(serialOf(bySerial.blob)), '--reason', 'a test'],
      ['--key', keyFile],
      ['--host', 'host.example.com'],
    ];
    for (const args of revocations) expect(await command('revoke', ...args)).toMatchObject({ exitCode: 0 });
    for (const args of revocations) expect(await command('revoke', ...args)).toMatchObject({ exitCode: 1 });
    const unknown = await command('revoke', '--host', 'nobody.example.com');
    expect(unknown).toMatchObject({ exitCode: 1 });
    const answer = await ca.get('/ssh/krl');
    expect(answer.headers['x-krl-number']).toBe('3');
    const krl = decodeKrl(answer.raw);
    for (const { key, blob } of [bySerial, byKey, byHost, spared]) {
      const expected = blob !== spared.blob;
      expect(await isRevokedForSsh(answer.raw, certificateLine(blob))).toBe(expected);
      expect(isRevoked(krl, decodeCertificate(blob))).toBe(expected);
      expect(await isRevokedForSsh(answer.raw, `${formatPublicKeyLine(key.publicKey)}\n`)).toBe(key === byKey.key);
    }
    expect(await ca.certifyOrRefuse(byKey.key, 'key.example.com')).toBe('key-revoked');
    const path = join(directory, 'exported');
    expect(await command('krl', '-o', path)).toMatchObject({ exitCode: 0 });
    const { stdout } = await execa('cmp', [path, await file('served', answer.raw)], { reject: false });
    expect(stdout).toBe('');
  });

  test('is sent once: then 304, until something is revoked; the same bytes after a restart', async () => {
    const first = await ca.get('/ssh/krl');
    const known = { 'if-none-match': String(first.headers['etag']) };
    expect((await ca.get('/ssh/krl', known)).status).toBe(304);
    expect((await ca.get('/ssh/krl.sig', known)).status).toBe(304);
    await ca.restart();
    expect((await ca.get('/ssh/krl', known)).status).toBe(304);
    expect((await ca.get('/ssh/krl')).raw).toEqual(first.raw);
    const blob = await ca.certify(makeHostKey(), 'later.example.com');
    await command('revoke', '--serial', String(serialOf(blob)));
    const second = await ca.get('/ssh/krl', known);
    expect(second.status).toBe(200);
    expect(decodeKrl(second.raw).number).toBe(decodeKrl(first.raw).number + 1n);
  });

  test('is signed so that ssh-keygen -Y verify believes it, and in its namespace alone', async () => {
    const krl = await ca.get('/ssh/krl');
    const signature = await ca.get('/ssh/krl.sig');
    expect(signature.headers['etag']).toBe(krl.headers['etag']);
    expect(await isSignedByCa(krl.raw, signature.raw.toString(), KRL_NAMESPACE)).toBe(true);
    expect(await isSignedByCa(krl.raw, signature.raw.toString(), TRUST_NAMESPACE)).toBe(false);
    expect(await isSignedByCa(krl.raw.subarray(1), signature.raw.toString(), KRL_NAMESPACE)).toBe(false);
  });
});

describe('statements', () => {
  const statementIn = (body: Record<string, unknown>) => {
    const bytes = decodeBase64(String(body['payload']));
    const [signature] = body['signatures'] as string[];
    return {
      bytes,
      value: JSON.parse(Buffer.from(bytes).toString()) as unknown,
      armored: armorSshsig(decodeBase64(signature ?? '')),
    };
  };

  test('the trust document names the keys and the KRL', async () => {
    const { bytes, value, armored } = statementIn((await ca.get('/ssh/trust')).body);
    expect(Value.Check(TrustDocument, value)).toBe(true);
    const { host, user } = ca.context.signers;
    const print = (key: typeof host.publicKey) => fingerprintOf(encodePublicKey(key));
    expect(value).toMatchObject({
      hostCas: [{ fingerprint: print(host.publicKey), state: 'current' }],
      userCas: [{ fingerprint: print(user.publicKey), state: 'current' }],
      krl: { number: String((await ca.store.krlState()).number), path: '/ssh/krl' },
    });
    expect(await isSignedByCa(bytes, armored, TRUST_NAMESPACE)).toBe(true);
  });

  test('the time answers a nonce', async () => {
    const nonce = Buffer.alloc(32, 7).toString('base64url');
    const { bytes, value, armored } = statementIn((await ca.get(`/time?nonce=${nonce}`)).body);
    expect(Value.Check(TimeStatement, value)).toBe(true);
    expect(value).toMatchObject({ nonce, time: Number(ca.now) });
    expect(await isSignedByCa(bytes, armored, TIME_NAMESPACE)).toBe(true);
    for (const query of ['', '?nonce=', '?nonce=short', `?nonce=${nonce}${nonce}${nonce}`])
      expect((await ca.get(`/time${query}`)).status).toBe(400);
  });

  test('of a user whom the CA does not know is refused', async () => {
    expect(await command('revoke', '--user', 'alice')).toMatchObject({ exitCode: 1 });
  });
});

describe('grants on the command line', () => {
  test('are made, listed, ended, and refuse a slip of the pen', async () => {
    const blob = await ca.certify(makeHostKey(), 'granted.example.com');
    const made = await command('grant', '--host', 'granted.example.com', '--for', '2h', '--uses', '3', '--json');
    expect(JSON.parse(made.stdout)).toMatchObject({ kind: 'host', uses: 3 });
    const listed = await command('grant', 'list', '--json');
    expect(JSON.parse(listed.stdout)).toMatchObject([{ value: 'granted.example.com', usesLeft: 3, state: 'open' }]);
    const { grant } = JSON.parse(made.stdout) as { grant: string };
    expect(await command('grant', 'end', grant)).toMatchObject({ exitCode: 0 });
    expect(await command('grant', 'end', grant)).toMatchObject({ exitCode: 1 });
    expect(JSON.parse((await command('grant', 'list', '--json')).stdout)).toEqual([]);
    for (const args of [['--host', 'typo.example.com'], ['--serial', '5'], ['--lineage', 'nope'], []])
      expect(await command('grant', ...args)).toMatchObject({ exitCode: 1 });
    const lineage = (await ca.store.certificate(serialOf(blob)))?.lineage ?? '';
    expect(JSON.parse((await command('lineage', lineage, '--json')).stdout)).toMatchObject({
      state: 'active',
      lineage,
    });
    expect(await command('lineage', 'resolve', lineage, '--revoke')).toMatchObject({ exitCode: 1 });
    expect((await command('lineages')).stdout).toContain(lineage);
  });
});
