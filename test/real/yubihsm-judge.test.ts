/**
 * The judge of the simulator: the vendor's own client of Debian 13, in a chroot (see `judge-chroot.ts`), talks to it,
 * and a third program (openssl, ssh-keygen) checks each result. Where our client takes part, the vendor's client reads
 * what ours made, and the other way round.
 */
import { constants, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { copyFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  assembleCertificate,
  decodeCertificate,
  encodeToBeSigned,
  verifyCertificateSignature,
} from '#openssh/certificate.ts';
import { decodeSignature } from '#openssh/signature.ts';
import { encodeBase64 } from '#openssh/base64.ts';
import { readAttestation, verifyAttestation } from '#ca-lite/yubihsm/attestation.ts';
import { capabilityBits } from '#ca-lite/yubihsm/capabilities.ts';
import { getPublicKey, signEddsa } from '#ca-lite/yubihsm/commands/asymmetric.ts';
import { timestampMessage } from '#ca-lite/yubihsm/commands/ssh-certificate.ts';
import { getTemplate, putTemplate } from '#ca-lite/yubihsm/commands/template.ts';
import { exportWrapped, importWrapped, putWrapKey } from '#ca-lite/yubihsm/commands/wrap.ts';
import { allDomains } from '#ca-lite/yubihsm/domains.ts';
import { sshPublicKey } from '#ca-lite/yubihsm/public-key.ts';
import { encodeSshTemplate } from '#ca-lite/yubihsm/ssh-template.ts';
import { exampleFields } from '#test/contract/signer.ts';
import { judgePreparationMs, prepareJudge, runInJudge } from '#test/yubihsm-simulator/judge-chroot.ts';
import type { SimulatorOptions } from '#test/yubihsm-simulator/simulator.ts';
import { type Bench, makeKey, startBench } from './yubihsm-fixture.ts';

let chroot: string;

beforeAll(async () => {
  chroot = await prepareJudge();
}, judgePreparationMs);

/** One simulator, and the vendor's shell in a directory of its own inside the chroot. */
interface Court {
  bench: Bench;
  /** The working directory, as this system sees it. */
  directory: string;
  /** Runs one action; throws with the shell's own words when it fails. */
  shell(action: string, ...options: string[]): Promise<string>;
  /** Runs an action that is to fail, and returns the shell's words. */
  refused(action: string, ...options: string[]): Promise<string>;
  write(name: string, bytes: Uint8Array | string): Promise<void>;
  read(name: string): Promise<Buffer>;
}

async function openCourt(options: SimulatorOptions = {}): Promise<Court> {
  const bench = await startBench(options);
  await mkdir(join(chroot, 'root'), { recursive: true });
  const directory = await mkdtemp(join(chroot, 'root', 'court-'));
  onTestFinished(async () => {
    await rm(directory, { recursive: true });
    await bench[Symbol.asyncDispose]();
  });
  const cwd = `/root/${basename(directory)}`;
  const run = async (action: string, actionOptions: string[]): ReturnType<typeof runInJudge> => {
    const connector = ['--connector', bench.simulator.url];
    const password = actionOptions.includes('-p') ? [] : ['-p', 'password'];
    const command = ['yubihsm-shell', ...connector, ...password, '-a', action, ...actionOptions] as const;
    return runInJudge(chroot, command, { cwd });
  };
  return {
    bench,
    directory,
    shell: async (action, ...actionOptions) => {
      const { exitCode, stdout, stderr } = await run(action, actionOptions);
      if (exitCode !== 0) throw new Error(`yubihsm-shell ${action}: ${stderr}`);
      return `${stdout}\n${stderr}`;
    },
    refused: async (action, ...actionOptions) => {
      const { exitCode, stderr } = await run(action, actionOptions);
      expect(exitCode).not.toBe(0);
      return stderr;
    },
    write: (name, bytes) => writeFile(join(directory, name), bytes),
    read: (name) => readFile(join(directory, name)),
  };
}

/** Has openssl verify a signature in a file with a public key in a file. */
async function opensslVerifies(court: Court, digest: string | undefined): Promise<boolean> {
  const cwd = court.directory;
  const { exitCode } =
    digest === undefined
      ? await execa(
          'openssl',
          ['pkeyutl', '-verify', '-pubin', '-inkey', 'key.pem', '-rawin', '-in', 'data', '-sigfile', 'signature'],
          { cwd, reject: false },
        )
      : await execa('openssl', ['dgst', `-${digest}`, '-verify', 'key.pem', '-signature', 'signature', 'data'], {
          cwd,
          reject: false,
        });
  return exitCode === 0;
}

test('connects, and reads what the device is', async () => {
  const court = await openCourt({ firmware: [2, 4, 1], serial: 7_654_321 });
  const info = await court.shell('get-device-info');
  expect(info).toMatch(/Version number:\s+2\.4\.1/);
  expect(info).toMatch(/Serial number:\s+7654321/);
  expect(info).toContain('template-ssh');
  expect(await court.shell('get-storage-info')).toContain('free records: 255/256');
  expect(await court.shell('list-objects', '-A', 'any', '-t', 'any')).toContain(
    'id: 0x0001, type: authentication-key, algo: aes128-yubico-authentication, sequence: 0, label: DEFAULT AUTHKEY CHANGE THIS ASAP',
  );
});

test('is refused with the words for a wrong password and for an unknown key', async () => {
  const court = await openCourt();
  expect(await court.refused('list-objects', '-p', 'wrong')).toMatch(/verification failed|authenticat/i);
  expect(await court.refused('list-objects', '--authkey', '9')).toMatch(/Object not found/i);
});

describe('keys', () => {
  const kinds = [
    ['rsa2048', 'sign-pkcs', 'sign-pkcs1v15', 'rsa-pkcs1-sha256', 'sha256'],
    ['rsa2048', 'sign-pkcs', 'sign-pkcs1v15', 'rsa-pkcs1-sha512', 'sha512'],
    ['ecp256', 'sign-ecdsa', 'sign-ecdsa', 'ecdsa-sha256', 'sha256'],
    ['ecp384', 'sign-ecdsa', 'sign-ecdsa', 'ecdsa-sha384', 'sha384'],
    ['ecp521', 'sign-ecdsa', 'sign-ecdsa', 'ecdsa-sha512', 'sha512'],
    ['ed25519', 'sign-eddsa', 'sign-eddsa', 'ed25519', undefined],
  ] as const;

  test.each(kinds)(
    '%s with %s: openssl verifies what %s signs with %s',
    async (kind, capability, action, way, digest) => {
      const court = await openCourt();
      await court.write('data', 'what is to be signed');
      await court.shell('generate-asymmetric-key', '-i', '5', '-l', 'ca', '-d', '1', '-c', capability, '-A', kind);
      expect(await court.shell('get-object-info', '-i', '5', '-t', 'asymmetric-key')).toMatch(
        new RegExp(`algorithm: ${kind}, label: "ca", .*origin: generated, capabilities: ${capability}`),
      );
      await court.shell('get-public-key', '-i', '5', '--out', 'key.pem');
      const files = ['--in', 'data', '--out', 'signature', '--outformat', 'binary'];
      await court.shell(action, '-i', '5', '-A', way, ...files);
      expect(await opensslVerifies(court, digest)).toBe(true);
      await court.write('data', 'something else');
      expect(await opensslVerifies(court, digest)).toBe(false);
      expect(await court.refused('sign-attestation-certificate', '-i', '77')).not.toBe('');
      await court.shell('delete-object', '-i', '5', '-t', 'asymmetric-key');
      expect(await court.refused('get-public-key', '-i', '5')).toMatch(/Object not found/);
    },
  );

  test('a key that was made outside is put in, and openssl verifies its signature', async () => {
    const court = await openCourt();
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await court.write('private.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await court.write('key.pem', publicKey.export({ type: 'spki', format: 'pem' }));
    await court.write('data', 'what is to be signed');
    await court.shell('put-asymmetric-key', '-i', '6', '-l', 'in', '-d', '1', '-c', 'sign-pkcs', '--in', 'private.pem');
    const files = ['--in', 'data', '--out', 'signature', '--outformat', 'binary'];
    await court.shell('sign-pkcs1v15', '-i', '6', '-A', 'rsa-pkcs1-sha256', ...files);
    expect(await opensslVerifies(court, 'sha256')).toBe(true);
  });

  test('a key without the capability is refused with the words for it', async () => {
    const court = await openCourt();
    await court.write('data', 'x');
    await court.shell('generate-asymmetric-key', '-i', '5', '-l', 'ca', '-d', '1', '-c', 'sign-pss', '-A', 'rsa2048');
    expect(await court.refused('sign-pkcs1v15', '-i', '5', '-A', 'rsa-pkcs1-sha256', '--in', 'data')).toMatch(
      /insufficient permissions|Wrong permissions/i,
    );
  });

  test('an authentication key is put, used, and limited', async () => {
    const court = await openCourt();
    const least = ['-c', 'get-pseudo-random', '--delegated', 'none', '--new-password', 'other'];
    await court.shell('put-authentication-key', '-i', '2', '-l', 'least', '-d', '1', ...least);
    const as = ['--authkey', '2', '-p', 'other'];
    expect((await court.shell('get-pseudo-random', '--count', '16', ...as)).trim()).toMatch(/^[0-9a-f]{32}/);
    const forbidden = ['-i', '7', '-l', 'x', '-d', '1', '-c', 'sign-ecdsa', '-A', 'ecp256'];
    expect(await court.refused('generate-asymmetric-key', ...forbidden, ...as)).toMatch(/permissions/i);
  });
});

describe('SSH certificates', () => {
  const { privateKey: timestampKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const template = encodeSshTemplate({
    timestampModulus: new Uint8Array(Buffer.from(timestampKey.export({ format: 'jwk' }).n ?? '', 'base64url')),
    caKeyIds: [5],
    notBeforeOffsetSeconds: 10,
    notAfterOffsetSeconds: 7200,
    forbiddenPrincipals: ['root'],
  });

  /** Has the vendor's library ask for a signature; the answer, or the library's words when it is refused. */
  async function signed(court: Court, tbs: Uint8Array, algorithm: number): Promise<Buffer | string> {
    const now = Math.floor(Date.now() / 1000);
    const options = { key: timestampKey, padding: constants.RSA_PKCS1_PADDING };
    const timestamp = Buffer.alloc(4);
    timestamp.writeUInt32BE(now);
    const signature = sign('sha256', timestampMessage(tbs, now), options);
    await court.write('request', Buffer.concat([timestamp, signature, tbs]));
    const script = join(import.meta.dirname, '../yubihsm-simulator/judge-ssh-certificate.py');
    copyFileSync(script, join(court.directory, 'sign.py'));
    const command = `python3 sign.py ${court.bench.simulator.url} 1 password 5 10 ${algorithm} <request >answer`;
    const cwd = `/root/${basename(court.directory)}`;
    const { exitCode, stderr } = await runInJudge(chroot, ['sh', '-c', command], { cwd });
    return exitCode === 0 ? court.read('answer') : stderr;
  }

  async function prepare(court: Court): Promise<Uint8Array> {
    const key = ['-i', '5', '-l', 'ca', '-d', '1', '-c', 'sign-ssh-certificate', '-A', 'rsa2048'];
    await court.shell('generate-asymmetric-key', ...key);
    await court.write('template', template);
    const put = ['-i', '10', '-l', 'template', '-d', '1', '-A', 'template-ssh', '--in', 'template'];
    await court.shell('put-template', ...put, '--informat', 'binary');
    await using session = await court.bench.session();
    const publicKey = sshPublicKey(await session.execute(getPublicKey(5)));
    const now = BigInt(Math.floor(Date.now() / 1000));
    return encodeToBeSigned(exampleFields(publicKey, { validAfter: now + 30n }));
  }

  test('the vendor stores a template; what it and we read back is the same', async () => {
    const court = await openCourt();
    await prepare(court);
    await court.shell('get-template', '-i', '10', '--outformat', 'binary', '--out', 'read');
    expect(new Uint8Array(await court.read('read'))).toEqual(template);
    await using session = await court.bench.session();
    expect(await session.execute(getTemplate(10))).toEqual(template);
    await session.execute(putTemplate({ id: 11, label: 'ours', domains: 1, capabilities: 0n }, template));
    await court.shell('get-template', '-i', '11', '--outformat', 'binary', '--out', 'ours');
    expect(new Uint8Array(await court.read('ours'))).toEqual(template);
  });

  test.each([
    [2, 'rsa-sha2-256'],
    [4, 'rsa-sha2-512'],
  ])("with the vendor's library and algorithm %i: ssh-keygen reads the certificate", async (algorithm, name) => {
    const court = await openCourt();
    const tbs = await prepare(court);
    const answer = await signed(court, tbs, algorithm);
    if (typeof answer === 'string') throw new Error(answer);
    const signature = decodeSignature('ssh-rsa', answer.subarray(4));
    const blob = assembleCertificate(tbs, signature);
    expect(Buffer.from(blob).equals(Buffer.concat([tbs, answer]))).toBe(true);
    expect(verifyCertificateSignature(decodeCertificate(blob))).toBe(true);
    await court.write('cert.pub', `ssh-ed25519-cert-v01@openssh.com ${encodeBase64(blob)}\n`);
    const { stdout } = await execa('ssh-keygen', ['-L', '-f', 'cert.pub'], { cwd: court.directory });
    expect(stdout).toContain(`(using ${name})`);
  });

  test("the device's own refusal reaches the vendor's library", async () => {
    const court = await openCourt();
    await prepare(court);
    await using session = await court.bench.session();
    const publicKey = sshPublicKey(await session.execute(getPublicKey(5)));
    const tbs = encodeToBeSigned(exampleFields(publicKey, { principals: ['root'] }));
    expect(await signed(court, tbs, 2)).toMatch(/SSH CA constraint violation/i);
  });
});

describe('backup', () => {
  const capability = 'sign-eddsa';

  async function putVendorWrapKey(court: Court, key: Uint8Array): Promise<void> {
    await court.write('wrap.key', key);
    const rights = ['-c', 'export-wrapped,import-wrapped', '--delegated', 'all'];
    await court.shell(
      'put-wrap-key',
      '-i',
      '7',
      '-l',
      'wrap',
      '-d',
      '1',
      ...rights,
      '--in',
      'wrap.key',
      '--informat',
      'binary',
    );
  }

  test.each(['rsa2048', 'ecp384', 'ed25519'])(
    'of a key of kind %s by the vendor, restored to a second device',
    async (kind) => {
      const first = await openCourt();
      const second = await openCourt();
      const wrapKey = randomBytes(32);
      for (const court of [first, second]) await putVendorWrapKey(court, wrapKey);
      const rights = ['-c', 'sign-pkcs,sign-ecdsa,sign-eddsa,exportable-under-wrap'];
      await first.shell('generate-asymmetric-key', '-i', '5', '-l', 'ca', '-d', '1', ...rights, '-A', kind);
      await first.shell('get-wrapped', '--wrap-id', '7', '-i', '5', '-t', 'asymmetric-key', '--out', 'backup');
      await second.write('backup', await first.read('backup'));
      await second.shell('put-wrapped', '--wrap-id', '7', '--in', 'backup');
      const keyOf = (court: Court): Promise<string> => court.shell('get-public-key', '-i', '5');
      const pem = /-----BEGIN PUBLIC KEY-----[^]*-----END PUBLIC KEY-----/;
      expect((await keyOf(second)).match(pem)?.[0]).toBe((await keyOf(first)).match(pem)?.[0]);
      expect(await second.shell('get-object-info', '-i', '5', '-t', 'asymmetric-key')).toMatch(/imported.wrapped/i);
    },
  );

  test("made off-line by the vendor's yubihsm-wrap is restored, and signs", async () => {
    const court = await openCourt();
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const wrapKey = randomBytes(32);
    await putVendorWrapKey(court, wrapKey);
    await court.write('private.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await court.write('key.pem', publicKey.export({ type: 'spki', format: 'pem' }));
    await court.write('data', 'what is to be signed');
    const what = ['-a', 'ed25519', '-c', capability, '-d', '1', '-i', '5', '-l', 'off-line', '-k', 'wrap.key'];
    const command = ['yubihsm-wrap', ...what, '--in', 'private.pem', '--out', 'blob'] as const;
    const cwd = `/root/${basename(court.directory)}`;
    expect(await runInJudge(chroot, command, { cwd })).toMatchObject({ exitCode: 0 });
    await court.shell('put-wrapped', '--wrap-id', '7', '--in', 'blob');
    const files = ['--in', 'data', '--out', 'signature', '--outformat', 'binary'];
    await court.shell('sign-eddsa', '-i', '5', '-A', 'ed25519', ...files);
    expect(await opensslVerifies(court, undefined)).toBe(true);
  });

  test('made by our client is restored by the vendor, and the other way round', async () => {
    const [ours, theirs] = [await openCourt(), await openCourt()];
    const wrapKey = randomBytes(32);
    const header = {
      id: 7,
      label: 'wrap',
      domains: allDomains,
      capabilities: capabilityBits('export-wrapped', 'import-wrapped'),
      delegated: capabilityBits('sign-eddsa', 'exportable-under-wrap'),
    };
    await using session = await ours.bench.session();
    await session.execute(putWrapKey(header, wrapKey));
    await putVendorWrapKey(theirs, wrapKey);
    await makeKey(session, 5, 'ed25519', capability, 'exportable-under-wrap');
    const wrapped = await session.execute(exportWrapped(7, 'asymmetric-key', 5));
    await theirs.write('backup', `${encodeBase64(wrapped)}\n`);
    await theirs.shell('put-wrapped', '--wrap-id', '7', '--in', 'backup');
    await theirs.shell(
      'generate-asymmetric-key',
      '-i',
      '6',
      '-l',
      'x',
      '-d',
      '1',
      '-c',
      'sign-eddsa,exportable-under-wrap',
      '-A',
      'ed25519',
    );
    await theirs.shell('get-wrapped', '--wrap-id', '7', '-i', '6', '-t', 'asymmetric-key', '--out', 'theirs');
    const blob = Buffer.from((await theirs.read('theirs')).toString('ascii'), 'base64');
    expect(await session.execute(importWrapped(7, new Uint8Array(blob)))).toEqual({ type: 'asymmetric-key', id: 6 });
    expect(await session.execute(signEddsa(6, new Uint8Array(10)))).toHaveLength(64);
  });
});

test.each(['rsa2048', 'ecp256', 'ecp384'] as const)(
  "an attestation of %s that the vendor's client asks for is verified by openssl, and read by ours",
  async (kind) => {
    const court = await openCourt();
    {
      await using session = await court.bench.session();
      await makeKey(session, 5, kind, 'sign-pkcs', 'sign-ecdsa');
    }
    await court.shell('get-opaque', '-i', '0', '--out', 'device.der', '--outformat', 'binary');
    const words = ['-i', '5', '--attestation-id', '0', '--out', 'attestation.pem'];
    await court.shell('sign-attestation-certificate', ...words);
    const pem = (await court.read('attestation.pem')).toString();
    const device = new X509Certificate(await court.read('device.der'));
    await court.write('device.pem', device.toString());
    const { stdout } = await execa('openssl', ['verify', '-CAfile', 'device.pem', 'attestation.pem'], {
      cwd: court.directory,
    });
    expect(stdout).toBe('attestation.pem: OK');
    const attestation = readAttestation(new X509Certificate(pem).raw);
    expect(verifyAttestation(attestation, device)).toBeUndefined();
    await using session = await court.bench.session();
    expect(attestation.publicKey).toEqual(sshPublicKey(await session.execute(getPublicKey(5))));
    expect(attestation).toMatchObject({ id: 5, label: 'key 5', origin: { generated: true } });
  },
);

test('reads the log, sets its options and frees it', async () => {
  const court = await openCourt();
  await court.write('data', 'x');
  await court.shell('generate-asymmetric-key', '-i', '5', '-l', 'ca', '-d', '1', '-c', 'sign-ecdsa', '-A', 'ecp256');
  await court.shell('put-option', '--opt-name', 'command-audit', '--opt-value', '5601');
  await court.shell('put-option', '--opt-name', 'force-audit', '--opt-value', '01');
  expect(await court.shell('get-option', '--opt-name', 'force-audit')).toMatch(/\b01\b/);
  for (let i = 0; i < 3; i++) await court.shell('sign-ecdsa', '-i', '5', '-A', 'ecdsa-sha256', '--in', 'data');
  const log = await court.shell('get-logs');
  expect(log).toContain('0 unlogged boots found');
  expect(log.match(/cmd: 0x56/g)).toHaveLength(3);
  expect(log).toMatch(/cmd: 0x56 -- length: +\d+ -- session key: 0x0001 -- target key: 0x0005/);
  await court.shell('set-log-index', '--log-index', '4');
  expect((await court.shell('get-logs')).match(/cmd: 0x56/g)).toHaveLength(1);
});

test('resets the device', async () => {
  const court = await openCourt();
  await court.shell('generate-asymmetric-key', '-i', '5', '-l', 'ca', '-d', '1', '-c', 'sign-ecdsa', '-A', 'ecp256');
  await court.shell('reset');
  expect(await court.shell('list-objects', '-A', 'any', '-t', 'any')).toContain('Found 1 object(s)');
});
