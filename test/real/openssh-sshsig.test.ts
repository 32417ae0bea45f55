/** SSHSIG and allowed signers between us and `ssh-keygen -Y`. Ed25519 signatures have one form, so their armor is the same. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AllowedSigner, formatAllowedSigner, parseAllowedSigner } from '#openssh/allowed-signers.ts';
import { parseCertificateLine } from '#openssh/certificate-line.ts';
import { parseSoftwareKey } from '#openssh/private-key.ts';
import { encodePublicKey, parsePublicKeyLine } from '#openssh/public-key.ts';
import { signWithKeyObject } from '#openssh/signature.ts';
import {
  type SshsigHash,
  armorSshsig,
  dearmorSshsig,
  decodeSshsig,
  encodeSshsig,
  encodeSshsigToBeSigned,
  verifySshsig,
} from '#openssh/sshsig.ts';
import {
  type SampleKey,
  bytes,
  sampleCa,
  sampleCertificate,
  sampleKeys,
  sampleTypes,
  signSample,
} from '#test/unit/openssh/samples.ts';
import { type ProgramResult, Workshop, madeKinds, nameOf } from './openssh-workshop.ts';

const message = bytes('a message\nof two lines\n');
const namespace = 'host-proof@countersign';
let workshop: Workshop;

beforeAll(async () => {
  workshop = await Workshop.open();
  for (const [type, bits] of madeKinds) await workshop.newKey(nameOf(type, bits), type, bits);
});
afterAll(async () => {
  await workshop[Symbol.asyncDispose]();
});

async function signedByKeygen(keyFile: string, hash: SshsigHash = 'sha512'): Promise<string> {
  return workshop.run(
    'ssh-keygen',
    ['-q', '-Y', 'sign', '-f', keyFile, '-n', namespace, '-O', `hashalg=${hash}`],
    message,
  );
}

function signedByUs(key: SampleKey, keyBlob = encodePublicKey(key.publicKey), hash: SshsigHash = 'sha512'): string {
  const signature = signSample(key, encodeSshsigToBeSigned(message, namespace, hash));
  return armorSshsig(encodeSshsig({ keyBlob, namespace, signature, hash }));
}

interface Asked {
  readonly identity?: string;
  readonly namespace?: string;
  readonly at?: string;
  readonly data?: Uint8Array;
}

async function verifiedByKeygen(armor: string, signer: AllowedSigner, asked: Asked = {}): Promise<ProgramResult> {
  await workshop.write('signature', armor);
  await workshop.write('signers', `# who may sign\n${formatAllowedSigner(signer)}\n`);
  const time = asked.at === undefined ? [] : ['-O', `verify-time=${asked.at}`];
  const who = ['-I', asked.identity ?? 'host@example.com', '-n', asked.namespace ?? namespace];
  const files = ['-f', 'signers', '-s', 'signature'];
  return workshop.try('ssh-keygen', ['-Y', 'verify', ...who, ...files, ...time], asked.data ?? message);
}

describe.each(madeKinds)('ssh-keygen signs with %s %s', (type, bits) => {
  const name = nameOf(type, bits);

  test.each(['sha256', 'sha512'] as const)('and %s: we verify', async (hash) => {
    const armor = await signedByKeygen(name, hash);
    const sshsig = decodeSshsig(dearmorSshsig(armor));
    expect(sshsig.keyBlob).toEqual(parsePublicKeyLine(await workshop.readText(`${name}.pub`)).blob);
    expect(sshsig.hash).toBe(hash);
    expect(verifySshsig(sshsig, message, namespace)).toBe(true);
    expect(verifySshsig(sshsig, message, 'file')).toBe(false);
    expect(verifySshsig(sshsig, bytes('another message'), namespace)).toBe(false);
    expect(armorSshsig(encodeSshsig(sshsig))).toBe(armor);
  });
});

test.each(['sha256', 'sha512'] as const)(
  'an Ed25519 signature with %s is the same from both, armor and all',
  async (hash) => {
    const key = parseSoftwareKey(await workshop.read('ed25519'));
    const signature = signWithKeyObject(
      key.privateKey,
      'ssh-ed25519',
      encodeSshsigToBeSigned(message, namespace, hash),
    );
    const ours = armorSshsig(encodeSshsig({ keyBlob: encodePublicKey(key.publicKey), namespace, signature, hash }));
    expect(ours).toBe(await signedByKeygen('ed25519', hash));
  },
);

test('ssh-keygen signs with a certificate: we find key and certificate', async () => {
  await workshop.keygen('-q', '-s', 'ecdsa256', '-I', 'id', '-n', 'me', '-V', '20300101:20310101', 'ed25519.pub');
  const { certificate } = parseCertificateLine(await workshop.readText('ed25519-cert.pub'));
  const sshsig = decodeSshsig(dearmorSshsig(await signedByKeygen('ed25519-cert.pub')));
  expect(verifySshsig(sshsig, message, namespace)).toBe(true);
  expect(sshsig.certificate).toEqual(certificate);
  expect(sshsig.key).toEqual(certificate.key);
});

describe.each(sampleTypes)('we sign with %s', (type) => {
  const key = sampleKeys[type];
  const signer = { principals: ['*@example.com'], key: key.publicKey };

  test.each(['sha256', 'sha512'] as const)('and %s: ssh-keygen verifies', async (hash) => {
    const armor = signedByUs(key, undefined, hash);
    expect(await verifiedByKeygen(armor, signer)).toMatchObject({ exitCode: 0 });
    expect((await verifiedByKeygen(armor, signer, { data: bytes('other') })).exitCode).not.toBe(0);
    expect((await verifiedByKeygen(armor, signer, { namespace: 'file' })).exitCode).not.toBe(0);
    await workshop.run('ssh-keygen', ['-Y', 'check-novalidate', '-n', namespace, '-s', 'signature'], message);
  });

  test('as a certificate: ssh-keygen verifies it by the CA', async () => {
    const certificate = sampleCertificate({
      key: key.publicKey,
      principals: ['host@example.com'],
      validAfter: 1_893_456_000n,
      validBefore: 1_924_992_000n,
      criticalOptions: [],
    });
    const armor = signedByUs(key, certificate.blob);
    const ca = { principals: ['*'], certAuthority: true, namespaces: [namespace], key: sampleCa.publicKey };
    expect(await verifiedByKeygen(armor, ca, { at: '20300601Z' })).toMatchObject({ exitCode: 0 });
    expect((await verifiedByKeygen(armor, ca, { at: '20320101Z' })).exitCode).not.toBe(0);
    expect((await verifiedByKeygen(armor, ca, { at: '20300601Z', identity: 'x@example.com' })).exitCode).not.toBe(0);
    const other = { ...ca, key: sampleKeys['ssh-rsa'].publicKey };
    expect((await verifiedByKeygen(armor, other, { at: '20300601Z' })).exitCode).not.toBe(0);
  });
});

describe('allowed signers mean to ssh-keygen what they mean to us', () => {
  const key = sampleKeys['ssh-ed25519'];
  const armor = signedByUs(key);
  const base = { principals: ['host@example.com'], key: key.publicKey };

  test.each<[string, Partial<AllowedSigner>, Asked, boolean]>([
    ['the namespace listed', { namespaces: [namespace] }, {}, true],
    ['a pattern of namespaces', { namespaces: ['file', '*@countersign'] }, {}, true],
    ['another namespace', { namespaces: ['file'] }, {}, false],
    ['a principal negated', { principals: ['*', '!host@example.com'] }, {}, false],
    ['from a time on', { validAfter: 1_900_000_000n }, { at: '20300317174640Z' }, true],
    ['before that time', { validAfter: 1_900_000_000n }, { at: '20300317174639Z' }, false],
    ['up to a time', { validBefore: 1_900_000_000n }, { at: '20300317174640Z' }, true],
    ['after that time', { validBefore: 1_900_000_000n }, { at: '20300317174641Z' }, false],
    ['a CA alone', { certAuthority: true }, {}, false],
    ['with a comment', { comment: 'a comment here' }, {}, true],
  ])('%s', async (_, changes, asked, verifies) => {
    const signer = { ...base, ...changes };
    expect((await verifiedByKeygen(armor, signer, asked)).exitCode === 0).toBe(verifies);
    expect(parseAllowedSigner(formatAllowedSigner(signer))).toEqual(signer);
  });
});
